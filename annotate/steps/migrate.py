"""Bring the database to this version's schema, keeping a backup of a SQLite file."""

from dataclasses import dataclass

from annotate.errors import NothingToDo
from annotate.project import Project
from db.engine import create_file, open_engine
from db.migrate import back_up, head, require_not_newer, upgrade


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
    file_mode = project.settings.storage.access.file_mode
    create_file(project.database_url, file_mode)
    engine = open_engine(project.database_url)
    with project.writing():
        before = require_not_newer(engine)
        if before == head():
            raise NothingToDo(
                f"the database has schema {before} already, the one that this version needs",
                hint="annotate status",
            )
        backup = back_up(engine, file_mode) if before else ""
        upgrade(engine)
    engine.dispose()
    return MigrateReport(before or "empty", head(), backup)
