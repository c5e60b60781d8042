"""Checks that the database can read every stored value, and that no row lacks its parent."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, Table, and_, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from annotate.errors import AnnotateError
from annotate.wording import counted
from db.engine import reading, speaking
from db.models import Base, Sample, SampleStatus

MOST_COMPLAINTS = 100


def table_names() -> list[str]:
    """Every table, parents first."""
    return [table.name for table in Base.metadata.sorted_tables]


def complaints(engine: Engine, checked: Callable[[str], None] = lambda table: None) -> list[str]:
    """The problems of the stored data, at most a hundred sentences; empty when there are none.

    Checks the pages and indexes (SQLite: ``integrity_check``; Postgres: ``bt_index_check`` where its
    extension amcheck is installed), reads every value of every table, and looks for rows whose parent is
    missing. `checked` is called with the name of each table once it is done.
    """
    problems = _pages(engine)
    for table in Base.metadata.sorted_tables:
        problems += _unreadable(engine, table)
        problems += _orphans(engine, table)
        checked(table.name)
    return problems[:MOST_COMPLAINTS]


def _asked(engine: Engine, ask: Callable[[Session], list[str]], about: str) -> list[str]:
    """The problems that `ask` returns, or the error that it ends with."""
    try:
        with reading(engine) as session:
            return ask(session)
    except (AnnotateError, DBAPIError) as error:
        return [f"{about}: {str(getattr(error, 'orig', error)).strip()}"]


def _pages(engine: Engine) -> list[str]:
    def sqlite(session: Session) -> list[str]:
        lines = session.execute(text(f"PRAGMA integrity_check({MOST_COMPLAINTS})")).scalars()
        return [str(line) for line in lines if line != "ok"]

    def postgres(session: Session) -> list[str]:
        if not session.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'")):
            return []
        indexes = text(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_am a ON a.oid = c.relam "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE a.amname = 'btree' AND c.relkind = 'i' AND n.nspname = current_schema()"
        )
        problems = []
        for name in session.scalars(indexes).all():

            def check(own: Session, name: str = name) -> list[str]:
                own.execute(text("SELECT bt_index_check(CAST(:name AS regclass))"), {"name": name})
                return []

            problems += _asked(engine, check, f"index {name}")
        return problems

    return _asked(engine, sqlite if engine.dialect.name == "sqlite" else postgres, "pages")


def _unreadable(engine: Engine, table: Table) -> list[str]:
    """Read every row through the types of its columns, which fail on broken JSON or times."""

    def read(session: Session) -> list[str]:
        for _ in session.execute(select(table).execution_options(yield_per=1000)):
            pass
        return []

    return _asked(engine, read, f"table {table.name}")


def _orphans(engine: Engine, table: Table) -> list[str]:
    def count(session: Session) -> list[str]:
        problems = []
        for constraint in table.foreign_key_constraints:
            parent = constraint.referred_table.alias()
            pairs = [(e.parent, parent.c[e.column.name]) for e in constraint.elements]
            missing: Any = (
                select(func.count())
                .select_from(table.outerjoin(parent, and_(*(child == key for child, key in pairs))))
                .where(*(child.is_not(None) for child, _ in pairs), pairs[0][1].is_(None))
            )
            if number := session.scalar(missing):
                columns = ", ".join(child.name for child, _ in pairs)
                problems.append(
                    f"table {table.name}: {counted(number, 'row')} whose {columns} refers to a missing row "
                    f"of {constraint.referred_table.name}"
                )
        return problems

    return _asked(engine, count, f"table {table.name}")


def media_hashes(engine: Engine) -> dict[str, dict[str, str]]:
    """The sha256 of the files of every sample that is not retired, by sample id and pass."""
    with speaking(engine), Session(engine) as session:
        query = select(Sample.id, Sample.media_sha256).where(Sample.status != SampleStatus.RETIRED)
        return {sample_id: hashes for sample_id, hashes in session.execute(query) if hashes}
