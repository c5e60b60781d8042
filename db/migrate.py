"""The schema's version: is it this code's, and how to bring it there."""

import os
import sqlite3
from contextlib import closing
from itertools import chain, count
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from annotate.errors import AnnotateError, DatabaseDamaged, SchemaMismatch
from annotate.temporary import PATTERN, sweep, temporary_name
from db.engine import address, speaking
from db.trouble import damaged, trouble

MIGRATIONS = Path(__file__).parent / "migrations"


def head() -> str:
    """The revision that this code speaks."""
    return str(_script().get_current_head())


def current(engine: Engine) -> str | None:
    """The revision of the database, None when it has no tables yet.

    Raises `AnnotateError` when the database cannot be reached.
    """
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        told = trouble(error, engine)
        if isinstance(told, DatabaseDamaged):
            raise told from error
        raise AnnotateError(
            f"the database {address(engine.url)} cannot be opened: {error.orig}",
            hint="see that its server runs, or its folder exists and is yours; `annotate doctor` tells more",
        ) from error


def require_current(engine: Engine) -> None:
    """Raise `SchemaMismatch` unless the database has exactly this code's schema."""
    found = require_not_newer(engine)
    if found is None:
        raise SchemaMismatch(
            f"the database {address(engine.url)} has no tables",
            hint="if it is new, `annotate migrate` makes them; if it held this project before, its content "
            "is lost: put a backup in its place, then run `annotate pull --full`",
        )
    if found != head():
        raise SchemaMismatch(
            f"the database is at schema {found}, this version needs {head()}",
            hint="run `annotate migrate`; it writes a backup first",
        )


def require_not_newer(engine: Engine) -> str | None:
    """The revision of the database.

    Raises `SchemaMismatch` when this code has never heard of it.
    """
    found = current(engine)
    if found is not None and found not in _known():
        raise SchemaMismatch(
            f"the database is at schema {found}, which is newer than this version ({head()})",
            hint="install the newer annotate that wrote it; nothing was changed",
        )
    return found


def upgrade(engine: Engine) -> str | None:
    """Bring the schema to `head()`, all or nothing. Returns the revision it had before.

    Raises `SchemaMismatch` when the database is newer than the code, `AnnotateError` when it cannot be
    written.
    """
    before = require_not_newer(engine)
    with speaking(engine):
        has_tables = before is None and inspect(engine).has_table("video")
    if has_tables:
        raise SchemaMismatch(
            "the database has tables, but does not say of which version",
            hint="bring it back from a backup; nothing was changed",
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with speaking(engine), engine.execution_options(writes=True).connect() as connection:
        sqlite = engine.dialect.name == "sqlite"
        if sqlite:
            # A batch migration drops and renames tables: with foreign keys on, children would be deleted.
            # The pragma does nothing inside a transaction, so it is set on the bare connection.
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        try:
            with connection.begin():
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                if sqlite:
                    _require_whole_references(connection.execute(text("PRAGMA foreign_key_check")).all())
        finally:
            if sqlite:
                connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]
    return before


def back_up(engine: Engine, file_mode: int) -> str:
    """Copy a SQLite database beside itself and return where; Postgres has its own tools, so empty there.

    The copy has the permission bits `file_mode`, whatever those of the database are. It gets its name when it
    is complete, so that a killed call leaves no partial file that looks like a backup. It goes through
    SQLite: reading the file directly would drop the locks this process holds.
    """
    if engine.dialect.name != "sqlite":
        return ""
    source = Path(str(engine.url.database))
    sweep(source.parent.glob(PATTERN))
    partial = source.with_name(temporary_name())
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        partial.chmod(file_mode)
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(partial)) as new:
            old.backup(new)
        target = _free_name(source.with_name(f"{source.stem}.before-{head()}{source.suffix}"))
        partial.rename(target)
    except sqlite3.Error as error:
        raise damaged(f"the database {source} cannot be copied: {error}", engine) from error
    finally:
        partial.unlink(missing_ok=True)
    return str(target)


def _free_name(path: Path) -> Path:
    """`path`, or where a file lies there already the first of ``name-2``, ``name-3`` ... that is free."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return next(name for name in chain([path], numbered) if not name.exists())


def _require_whole_references(orphans: object) -> None:
    if orphans:
        raise AnnotateError(
            f"the migration would leave rows without their parents: {orphans}",
            hint="nothing was changed; please report this",
        )


def _script() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


def _known() -> set[str]:
    return {revision.revision for revision in _script().walk_revisions()}
