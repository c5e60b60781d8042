"""removed videos, the text that raters were shown, questions taken out of Label Studio's queue"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('video') as table:
        table.add_column(sa.Column('removed_at', sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table('batch_item') as table:
        table.add_column(sa.Column('transcript', sa.String(), nullable=True))
        table.add_column(sa.Column('taken_down_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    # The older schema knows no removed videos: their samples take part again, as their checks say.
    op.execute("UPDATE sample SET status = 'ok' WHERE status = 'removed'")
    op.execute(
        "UPDATE sample SET status = 'rejected' WHERE status = 'ok' "
        'AND id IN (SELECT sample_id FROM sample_check WHERE NOT passed)'
    )
    with op.batch_alter_table('batch_item') as table:
        table.drop_column('taken_down_at')
        table.drop_column('transcript')
    with op.batch_alter_table('video') as table:
        table.drop_column('removed_at')
