"""What databases say when they are damaged, full, locked or gone, told with the way out."""

import json
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from annotate.errors import AnnotateError, DatabaseDamaged

_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_DATA")
_NOT_WRITABLE = ("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CANTOPEN")
_POSTGRES_DAMAGED = "XX"
"""The class of SQLSTATE codes for damaged data and indexes, and other errors inside the server."""
_POSTGRES_GONE = ("08", "53", "57P")
"""Lost connections, exhausted resources, and a server that was shut down."""


def trouble(error: DBAPIError, engine: Engine | None = None) -> AnnotateError | None:
    """What the user has to know of an error that the database itself is the reason for.

    None for errors of a statement, such as a broken constraint.
    """
    code = str(getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or "")
    reason = str(error.orig).strip()
    where = "the database" if engine is None else f"the database {_name(engine)}"
    if code.startswith((*_DAMAGED, _POSTGRES_DAMAGED)):
        return damaged(f"{where} is damaged: {reason}", engine)
    if code.startswith(_NOT_WRITABLE):
        return AnnotateError(
            f"{where} cannot be written: {reason}",
            hint="see who owns it and its folder, and that its disk is not mounted read-only; `annotate "
            "status`, `doctor`, `list` and `export` into another folder read only",
        )
    if isinstance(error, OperationalError | InterfaceError) or code.startswith(_POSTGRES_GONE):
        return AnnotateError(
            f"{where} cannot be used: {reason}",
            hint="see that its disk has room, its server runs, and nobody else holds it; then run this again",
        )
    return None


def damaged(what: str, engine: Engine | None = None, file: str = "annotate.db") -> DatabaseDamaged:
    """The error for a damaged database: keep it, find out how bad it is, take a copy back."""
    if engine is not None and engine.dialect.name != "sqlite":
        return DatabaseDamaged(
            what,
            hint="back the server's data up as it is and look into its log; `annotate doctor --deep` checks "
            "the rows; then restore your last dump and run `annotate pull --full`, which fetches every "
            "answer that Label Studio still holds",
        )
    file = file if engine is None else str(engine.url.database)
    return DatabaseDamaged(
        what,
        hint=f"keep the file: copy it with its -wal and -shm; `annotate doctor --deep` checks it; then put a "
        f"backup in its place, or what `sqlite3 {shlex.quote(file)} .recover` still reads, and run "
        "`annotate pull --full`, which fetches every answer that Label Studio still holds",
    )


def reason_of_crash(error: BaseException, url: str) -> AnnotateError | None:
    """The error to report instead of `error`, which nobody expected, if the database at `url` is the reason.

    None if it is not, as far as can be told: whatever the database refused, and a SQLite file that its own
    check finds damaged. `url` may be empty, where it is not known.
    """
    path = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""
    complaint = _first_complaint(path) if path else ""
    if complaint:
        return damaged(f"the database {path} is damaged: {complaint}", file=path)
    refusal: BaseException | None = error
    while refusal is not None and not isinstance(refusal, SQLAlchemyError | sqlite3.Error):
        refusal = refusal.__cause__ or refusal.__context__
    if refusal is None:
        return None
    return AnnotateError(
        f"the database refused what was asked of it: {str(getattr(refusal, 'orig', refusal)).strip()}",
        hint="nothing of this step was stored; `annotate doctor --deep` finds out whether the database is "
        "damaged; if it is not, please report this",
    )


def _first_complaint(path: str) -> str:
    """What SQLite's quick check says first about a file; empty when all is well or it cannot be checked."""
    try:
        with closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)) as connection:
            said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:
        return ""
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if said == "ok" else said


def checked_json(text: str | bytes) -> Any:
    """The value of a JSON column. Raises `DatabaseDamaged` when it is none."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise damaged(f"a value in the database is no JSON any more ({error}): {str(text)[:40]!r}") from error


def _name(engine: Engine) -> str:
    return str(engine.url.database) if engine.dialect.name == "sqlite" else engine.url.render_as_string()
