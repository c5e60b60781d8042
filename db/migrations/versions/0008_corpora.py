"""where a video comes from, and the imported corpora in a table of their own"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

INTEGER = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
FOREIGN_KEY = 'fk_video_corpus_id_corpus'
INDEX = 'ix_video_corpus_id'


def upgrade() -> None:
    op.create_table(
        'corpus',
        sa.Column('id', INTEGER, nullable=False),
        sa.Column('name', sa.String(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_corpus')),
        sa.UniqueConstraint('name', name=op.f('uq_corpus_name')),
    )
    with op.batch_alter_table('video') as table:
        table.add_column(sa.Column('origin', sa.String(), nullable=False, server_default='cut'))
        table.add_column(sa.Column('corpus_id', INTEGER, nullable=True))
        table.create_foreign_key(op.f(FOREIGN_KEY), 'corpus', ['corpus_id'], ['id'])
    op.create_index(op.f(INDEX), 'video', ['corpus_id'])
    _execute("UPDATE video SET origin = 'imported', settings_hash = '' WHERE settings_hash = 'imported'")
    names: set[str] = set()
    for sha256, facts in _imported('sha256, facts'):
        # Older versions kept the name of the corpus among the facts of the video.
        name = facts.pop('corpus', None)
        if name is None:
            continue
        if name not in names:
            names.add(name)
            _execute('INSERT INTO corpus (name) VALUES (:name)', name=name)
        _execute(
            'UPDATE video SET facts = :facts, corpus_id = (SELECT id FROM corpus WHERE name = :name) '
            'WHERE sha256 = :sha256',
            facts=json.dumps(facts), name=name, sha256=sha256,
        )


def downgrade() -> None:
    names = {number: name for number, name in op.get_bind().execute(sa.text('SELECT id, name FROM corpus'))}
    for sha256, facts, corpus_id in _imported('sha256, facts, corpus_id'):
        if corpus_id is not None:
            facts = {'corpus': names[corpus_id], **facts}
        _execute(
            "UPDATE video SET facts = :facts, settings_hash = 'imported' WHERE sha256 = :sha256",
            facts=json.dumps(facts), sha256=sha256,
        )
    op.drop_index(op.f(INDEX), 'video')
    with op.batch_alter_table('video') as table:
        table.drop_constraint(op.f(FOREIGN_KEY), type_='foreignkey')
        table.drop_column('corpus_id')
        table.drop_column('origin')
    op.drop_table('corpus')


def _imported(columns: str) -> list[list[Any]]:
    """The imported videos, their facts decoded: SQLite returns JSON as text here, Postgres as an object."""
    query = sa.text(f"SELECT {columns} FROM video WHERE origin = 'imported' ORDER BY sha256")
    return [
        [sha256, json.loads(facts) if isinstance(facts, str) else facts, *others]
        for sha256, facts, *others in op.get_bind().execute(query)
    ]


def _execute(statement: str, **values: object) -> None:
    op.get_bind().execute(sa.text(statement), values)
