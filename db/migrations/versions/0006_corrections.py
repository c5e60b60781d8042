"""samples that a person corrected, what they were made from, and who corrected what"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

TRIGGERS = {
    'sqlite': [
        'CREATE TRIGGER correction_no_update BEFORE UPDATE ON correction '
        "BEGIN SELECT RAISE(ABORT, 'corrections are never changed'); END",
        'CREATE TRIGGER correction_no_delete BEFORE DELETE ON correction '
        "BEGIN SELECT RAISE(ABORT, 'corrections are never deleted'); END",
    ],
    'postgresql': [
        'CREATE FUNCTION correction_refuse() RETURNS trigger LANGUAGE plpgsql AS '
        "$$ BEGIN RAISE EXCEPTION 'corrections are never changed or deleted'; END $$",
        'CREATE TRIGGER correction_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON correction '
        'FOR EACH STATEMENT EXECUTE FUNCTION correction_refuse()',
    ],
}


def upgrade() -> None:
    with op.batch_alter_table('sample') as table:
        table.add_column(sa.Column('by_hand', sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column('predecessors', sa.JSON(), nullable=False, server_default='[]'))
    op.create_table(
        'correction',
        sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
        sa.Column('at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('author', sa.String(), nullable=False),
        sa.Column('sample_id', sa.String(), nullable=False),
        sa.Column('field', sa.String(), nullable=False),
        sa.Column('old', sa.JSON(), nullable=False),
        sa.Column('new', sa.JSON(), nullable=False),
        sa.Column('reason', sa.String(), nullable=False),
        sa.ForeignKeyConstraint(['sample_id'], ['sample.id'], name=op.f('fk_correction_sample_id_sample')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_correction')),
    )
    op.create_index(op.f('ix_correction_sample_id'), 'correction', ['sample_id'])
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table('correction')
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('DROP FUNCTION correction_refuse()')
    # A decision by hand is no measure: the older schema would take it for one.
    op.execute("DELETE FROM sample_check WHERE name = 'by-hand'")
    with op.batch_alter_table('sample') as table:
        table.drop_column('predecessors')
        table.drop_column('by_hand')
