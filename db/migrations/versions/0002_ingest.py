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
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table(
        'repeat_key',
        sa.Column('kind', sa.String(), nullable=False),
        sa.Column('key', number, autoincrement=False, nullable=False),
        sa.Column('sample_id', sa.String(), nullable=False),
        sa.ForeignKeyConstraint(['sample_id'], ['sample.id'], name=op.f('fk_repeat_key_sample_id_sample')),
        sa.PrimaryKeyConstraint('kind', 'key', 'sample_id', name=op.f('pk_repeat_key')),
    )
    op.create_index(op.f('ix_repeat_key_sample_id'), 'repeat_key', ['sample_id'])
    op.create_table(
        'sound_pair',
        sa.Column('first', sa.String(), nullable=False),
        sa.Column('second', sa.String(), nullable=False),
        sa.Column('agreeing', number, nullable=False),
        sa.ForeignKeyConstraint(['first'], ['sample.id'], name=op.f('fk_sound_pair_first_sample')),
        sa.ForeignKeyConstraint(['second'], ['sample.id'], name=op.f('fk_sound_pair_second_sample')),
        sa.PrimaryKeyConstraint('first', 'second', name=op.f('pk_sound_pair')),
    )
    op.create_index(op.f('ix_sound_pair_second'), 'sound_pair', ['second'])


def downgrade() -> None:
    op.drop_table('sound_pair')
    op.drop_table('repeat_key')
    # Words, and what could not be told: the older schema has no place for them.
    op.execute('DELETE FROM sample_check WHERE value IS NULL')
    with op.batch_alter_table('sample_check') as table:
        table.drop_column('word')
        table.alter_column('value', existing_type=sa.Float(), nullable=False)
    with op.batch_alter_table('sample') as table:
        for name in ('transcript_raw', 'words', 'speaker', 'speaker_origin', 'sound_print'):
            table.drop_column(name)
    with op.batch_alter_table('video') as table:
        table.drop_column('rules_hash')
        table.drop_column('episode')
