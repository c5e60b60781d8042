"""answers are identified by their question, too; the server's task of each; when a task was last read

Rows of `annotation` are never changed, so older rows keep NULL in `ls_task_id`: the task of the server stands in
`raw["task"]` there.
"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

OLD = ('origin', 'revision', 'task_id')
IMPORTED = sa.text('batch_item_id IS NULL')
# SQLite copies the table to change a constraint, and the copy has no triggers.
TRIGGERS = (
    "CREATE TRIGGER annotation_no_update BEFORE UPDATE ON annotation "
    "BEGIN SELECT RAISE(ABORT, 'annotations are never changed'); END",
    "CREATE TRIGGER annotation_no_delete BEFORE DELETE ON annotation "
    "BEGIN SELECT RAISE(ABORT, 'annotations are never deleted'); END",
)


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.add_column('batch_item', sa.Column('ls_updated_at', sa.String(), nullable=False, server_default=''))
    with op.batch_alter_table('annotation') as table:
        table.add_column(sa.Column('ls_task_id', number, nullable=True))
        table.drop_constraint('uq_annotation_origin_revision_task_id', type_='unique')
        table.create_unique_constraint(
            'uq_annotation_batch_item_id_origin_revision_task_id', ['batch_item_id', *OLD]
        )
    op.create_index(
        'uq_annotation_imported', 'annotation', list(OLD), unique=True,
        sqlite_where=IMPORTED, postgresql_where=IMPORTED,
    )
    _restore_triggers()


def downgrade() -> None:
    """Fails, and changes nothing, where two questions hold one answer number: older versions cannot keep both."""
    op.drop_index('uq_annotation_imported', 'annotation')
    with op.batch_alter_table('annotation') as table:
        table.drop_constraint('uq_annotation_batch_item_id_origin_revision_task_id', type_='unique')
        table.create_unique_constraint('uq_annotation_origin_revision_task_id', list(OLD))
        table.drop_column('ls_task_id')
    _restore_triggers()
    op.drop_column('batch_item', 'ls_updated_at')


def _restore_triggers() -> None:
    if op.get_bind().dialect.name == 'sqlite':
        for trigger in TRIGGERS:
            op.execute(trigger)
