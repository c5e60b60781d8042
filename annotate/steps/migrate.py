"""Bring the database to this version's schema, keeping a backup of a SQLite file."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from annotate.errors import NothingToDo
from annotate.project import Project
from db.engine import open_engine
from db.migrate import current, head, upgrade


@dataclass(frozen=True, slots=True)
class MigrateReport:
    """From which schema to which."""

    before: str
    after: str
    backup: str


def migrate(project: Project) -> MigrateReport:
    """Upgrade the schema, all or nothing.

    Raises `SchemaMismatch` when the database is newer than the code, `NothingToDo` when it is current.
    """
    engine = open_engine(project.database_url)
    with project.writing():
        before = current(engine)
        if before == head():
            raise NothingToDo(f"the database is at {before} already", hint="nothing to do")
        backup = _back_up(project.database_url, before)
        upgrade(engine)
    engine.dispose()
    return MigrateReport(before or "empty", head(), backup)


def _back_up(url: str, before: str | None) -> str:
    """Copy a SQLite database beside itself through SQLite (a plain copy would drop its locks)."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or before is None:
        return ""
    source = Path(str(parsed.database))
    target = source.with_name(f"{source.stem}.before-{head()}{source.suffix}")
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    return str(target)
