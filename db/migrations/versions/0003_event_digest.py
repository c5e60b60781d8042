"""a hash of events that are recorded once, so that a repeated one is found by an index"""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('event') as table:
        table.add_column(sa.Column('digest', sa.String(), nullable=True))
    event = sa.table('event', sa.column('id'), sa.column('kind'), sa.column('payload', sa.JSON()), sa.column('digest'))
    connection = op.get_bind()
    unusable = sa.select(event.c.id, event.c.payload).where(event.c.kind == 'unusable-answer')
    digests = [
        {'event_id': event_id, 'hash': hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()}
        for event_id, payload in connection.execute(unusable)
    ]
    if digests:
        changed = event.update().where(event.c.id == sa.bindparam('event_id')).values(digest=sa.bindparam('hash'))
        connection.execute(changed, digests)
    op.create_index(op.f('ix_event_digest'), 'event', ['digest'])


def downgrade() -> None:
    op.drop_index(op.f('ix_event_digest'), 'event')
    with op.batch_alter_table('event') as table:
        table.drop_column('digest')
