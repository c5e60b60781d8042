"""Turns errors of damaged, full, locked or unreachable databases into messages with a way out."""

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
"""Class of the SQLSTATE codes for damaged data and indexes, and other internal errors."""
_POSTGRES_GONE = ("08", "53", "57P")
"""Classes of the SQLSTATE codes for lost connections, exhausted resources and a server shutdown."""


def trouble(error: DBAPIError, engine: Engine | None = None) -> AnnotateError | None:
    """The error to show when the database itself is the cause of `error`.

    None for errors of a statement, such as a broken constraint.
    """
    code = str(getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or "")
    reason = str(error.orig).strip()
    where = "the database"
    if engine is not None:
        sqlite = engine.dialect.name == "sqlite"
        where += f" {engine.url.database if sqlite else engine.url.render_as_string()}"
    if code.startswith((*_DAMAGED, _POSTGRES_DAMAGED)):
        return damaged(f"{where} is damaged: {reason}", engine)
    if code.startswith(_NOT_WRITABLE):
        return AnnotateError(
            f"{where} cannot be written: {reason}",
            hint="check who owns it and its folder, and that its disk is not mounted read-only; `annotate "
            "status`, `doctor`, `list` and `export` into another folder only read it",
        )
    if isinstance(error, OperationalError | InterfaceError) or code.startswith(_POSTGRES_GONE):
        return AnnotateError(
            f"{where} cannot be used: {reason}",
            hint="check that its disk has room, its server runs and nobody locks it; then run this again",
        )
    return None


def damaged(what: str, engine: Engine | None = None, file: str = "annotate.db") -> DatabaseDamaged:
    """The error for a damaged database, with the steps that save and restore its data."""
    if engine is not None and engine.dialect.name != "sqlite":
        return DatabaseDamaged(
            what,
            hint="back up the server's data as it is and read its log; `annotate doctor --deep` checks "
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
    """The error to report instead of an unexpected `error` if the database at `url` is its cause.

    The database is the cause when it refused a statement, or when it is a SQLite file that fails its own
    quick check; else None. `url` may be empty if it is not known.
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
    """The first problem that SQLite's quick check reports; empty without one, or if it cannot run."""
    try:
        with closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)) as connection:
            result = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:
        return ""
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if result == "ok" else result


def checked_json(text: str | bytes) -> Any:
    """The value of a JSON column. Raises `DatabaseDamaged` when it is not valid JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise damaged(f"a value in the database is not valid JSON ({error}): {str(text)[:40]!r}") from error
