"""questions that ask some of the dimensions only, and the Label Studio projects that hold them"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

KEPT = 'partial-questions'
"""Kind of the event that keeps, for a later upgrade, what the older schema has no place for."""


def upgrade() -> None:
    for table in ('batch_item', 'ls_project'):
        op.add_column(table, sa.Column('dimensions', sa.String(), nullable=False, server_default=''))
    for (payload,) in _rows('SELECT payload FROM event WHERE kind = :kind ORDER BY id', kind=KEPT):
        kept = json.loads(payload) if isinstance(payload, str) else payload
        for number, dimensions in kept['questions']:
            _execute('UPDATE batch_item SET dimensions = :d WHERE id = :id', d=dimensions, id=number)
        for modality, server, project, dimensions, page, cursor in kept['ls_projects']:
            _execute(
                'INSERT INTO ls_project (modality, server, ls_project_id, dimensions, config_hash, cursor) '
                'VALUES (:m, :s, :p, :d, :h, :c)',
                m=modality, s=server, p=project, d=dimensions, h=page, c=cursor,
            )
    _execute('DELETE FROM event WHERE kind = :kind', kind=KEPT)


def downgrade() -> None:
    """Withdraws unanswered questions about some dimensions, which older versions would take for whole ones."""
    questions = _rows("SELECT id, dimensions FROM batch_item WHERE dimensions <> '' ORDER BY id")
    projects = _rows(
        'SELECT modality, server, ls_project_id, dimensions, config_hash, cursor FROM ls_project '
        "WHERE dimensions <> '' ORDER BY modality, server"
    )
    if questions or projects:
        kept = {'questions': [list(row) for row in questions], 'ls_projects': [list(row) for row in projects]}
        _execute(
            'INSERT INTO event (at, kind, payload) VALUES (:at, :kind, :payload)',
            at=datetime.now(UTC).strftime('%Y-%m-%d %H:%M:%S.%f'), kind=KEPT, payload=json.dumps(kept),
        )
    _execute("UPDATE batch_item SET state = 4 WHERE dimensions <> '' AND state <= 2")
    _execute("DELETE FROM ls_project WHERE dimensions <> ''")
    for table in ('ls_project', 'batch_item'):
        op.drop_column(table, 'dimensions')


def _rows(query: str, **values: object) -> Sequence[sa.Row[Any]]:
    return op.get_bind().execute(sa.text(query), values).all()


def _execute(statement: str, **values: object) -> None:
    op.get_bind().execute(sa.text(statement), values)
