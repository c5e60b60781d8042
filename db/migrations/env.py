"""Alembic's entry: runs the migrations over the connection that `db.migrate` hands in.

A developer's `alembic` command names its database with ``-x url=...``.
"""

from alembic import context
from sqlalchemy import Connection

from db.engine import open_engine
from db.migrate import render_plain_type
from db.models import Base


def run(connection: Connection) -> None:
    """Migrate over `connection`, all or nothing on both backends."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render_plain_type,
        compare_type=True,
        # SQLite can roll back DDL too, once transactions are opened explicitly (see db.engine).
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True)["url"]
    with open_engine(url).execution_options(writes=True).begin() as own:
        run(own)
