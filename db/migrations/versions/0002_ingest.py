"""ingest: verdicts on samples, who talks in each, transcripts as they were written, episodes"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('video') as table:
        table.add_column(sa.Column('rules_hash', sa.String(), nullable=False, server_default=''))
        table.add_column(sa.Column('episode', sa.String(), nullable=False, server_default=''))
    with op.batch_alter_table('sample') as table:
        table.add_column(sa.Column('transcript_raw', sa.String(), nullable=False, server_default=''))
        table.add_column(sa.Column('words', sa.JSON(), nullable=False, server_default='[]'))
        table.add_column(sa.Column('speaker', sa.String(), nullable=False, server_default=''))
        table.add_column(sa.Column('speaker_origin', sa.String(), nullable=False, server_default=''))
        table.add_column(sa.Column('sound_print', sa.JSON(), nullable=False, server_default='[]'))
    with op.batch_alter_table('sample_check') as table:
        table.add_column(sa.Column('word', sa.String(), nullable=False, server_default=''))
        table.alter_column('value', existing_type=sa.Float(), nullable=True)


def downgrade() -> None:
    with op.batch_alter_table('sample_check') as table:
        table.drop_column('word')
    with op.batch_alter_table('sample') as table:
        for name in ('transcript_raw', 'words', 'speaker', 'speaker_origin', 'sound_print'):
            table.drop_column(name)
    with op.batch_alter_table('video') as table:
        table.drop_column('rules_hash')
        table.drop_column('episode')
