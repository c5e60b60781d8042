"""Compares the database's schema with this code's, and migrates it."""

import os
import sqlite3
from contextlib import closing
from itertools import chain, count
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, TypeDecorator, inspect, text
from sqlalchemy.exc import DBAPIError

from annotate.errors import AnnotateError, DatabaseDamaged, SchemaMismatch
from annotate.temporary import PATTERN, sweep, temporary_name
from db.engine import address, speaking
from db.trouble import damaged, trouble

MIGRATIONS = Path(__file__).parent / "migrations"


def render_plain_type(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Render a type of `db.models` in a generated migration as the SQLAlchemy type that it wraps.

    A migration must not depend on the models, which change later.
    """
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


def head() -> str:
    """The schema revision of this code."""
    return str(_script().get_current_head())


def current(engine: Engine) -> str | None:
    """The schema revision of the database; None when it has no tables yet.

    Raises `AnnotateError` when the database cannot be reached.
    """
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        refusal = trouble(error, engine)
        if isinstance(refusal, DatabaseDamaged):
            raise refusal from error
        raise AnnotateError(
            f"the database {address(engine.url)} cannot be opened: {error.orig}",
            hint="check that its server runs, or its folder exists and is yours; then run `annotate doctor`",
        ) from error


def require_current(engine: Engine) -> None:
    """Raise `SchemaMismatch` unless the database has exactly this code's schema."""
    revision = require_not_newer(engine)
    if revision is None:
        raise SchemaMismatch(
            f"the database {address(engine.url)} has no tables",
            hint="if it is new, `annotate migrate` creates them; if it held this project before, its content "
            "is lost: put a backup in its place, then run `annotate pull --full`",
        )
    if revision != head():
        raise SchemaMismatch(
            f"the database is at schema {revision}, this version needs {head()}",
            hint="run `annotate migrate`; it writes a backup first",
        )


def require_not_newer(engine: Engine) -> str | None:
    """The schema revision of the database. Raises `SchemaMismatch` when this code does not know it."""
    revision = current(engine)
    if revision is not None and revision not in {script.revision for script in _script().walk_revisions()}:
        raise SchemaMismatch(
            f"the database is at schema {revision}, which is newer than this version ({head()})",
            hint="install the newer annotate that wrote it; nothing was changed",
        )
    return revision


def upgrade(engine: Engine) -> str | None:
    """Migrate the schema to `head()`, all or nothing. Returns the revision it had before.

    Raises `SchemaMismatch` when the database is newer than the code, `AnnotateError` when it cannot be
    written.
    """
    before = require_not_newer(engine)
    with speaking(engine):
        has_tables = before is None and inspect(engine).has_table("video")
    if has_tables:
        raise SchemaMismatch(
            "the database has tables, but no schema version",
            hint="restore it from a backup; nothing was changed",
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with speaking(engine), engine.execution_options(writes=True).connect() as connection:
        sqlite = engine.dialect.name == "sqlite"
        if sqlite:
            # A batch migration drops and renames tables: with foreign keys on, child rows would be deleted.
            # The pragma has no effect inside a transaction, so it is set on the bare connection.
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        try:
            with connection.begin():
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                orphans = sqlite and connection.execute(text("PRAGMA foreign_key_check")).all()
                if orphans:
                    raise AnnotateError(
                        f"the migration would leave rows without their parents: {orphans}",
                        hint="nothing was changed; please report this",
                    )
        finally:
            if sqlite:
                connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]
    return before


def back_up(engine: Engine, file_mode: int) -> str:
    """Copy a SQLite database into its folder and return the path; empty for Postgres, which has own tools.

    The copy has the permission bits `file_mode`, whatever those of the database are. It gets its name only
    when it is complete, so that a killed call leaves no partial file that looks like a backup. The copy is
    made through SQLite, because reading the file directly would drop the locks of this process.
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
        plain = source.with_name(f"{source.stem}.before-{head()}{source.suffix}")
        numbered = (plain.with_name(f"{plain.stem}-{number}{plain.suffix}") for number in count(2))
        target = next(name for name in chain([plain], numbered) if not name.exists())
        partial.rename(target)
    except sqlite3.Error as error:
        raise damaged(f"the database {source} cannot be copied: {error}", engine) from error
    finally:
        partial.unlink(missing_ok=True)
    return str(target)


def _script() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))
