"""Opens databases, and the two kinds of transaction: `reading` and `writing`."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session as Session  # noqa: PLC0414 - for those who are handed one by `reading` and `writing`

from annotate.errors import ConfigError
from annotate.permissions import may_write
from db import read_only
from db.trouble import checked_json, trouble

BUSY_TIMEOUT_MS = 30_000
BACKENDS = ("sqlite", "postgresql")


def open_engine(url: str) -> Engine:
    """An engine for SQLite or Postgres, set up so that no acknowledged commit is lost.

    Raises `ConfigError` as `parse_url` does.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "postgresql":
        driver = parsed.set(drivername="postgresql+psycopg")
        return create_engine(
            driver, pool_pre_ping=True, json_serializer=to_json, json_deserializer=checked_json
        )
    engine = create_engine(parsed, json_serializer=to_json, json_deserializer=checked_json)
    if is_writable(url):
        event.listen(engine, "connect", _set_up_sqlite)
    else:
        read_only.listen(engine)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def to_json(value: object) -> str:
    """JSON without U+0000, which Postgres cannot return; `db.models.CleanText` does the same to text."""
    written = json.dumps(value)
    return _NUL.sub(r"\1", written) if r"\u0000" in written else written


_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""The escape sequence; after an odd number of backslashes it is literal text."""


def is_writable(url: str) -> bool:
    """Whether this process may write to the database; always true for Postgres, which checks by itself.

    SQLite must be able to write to its file and, for ``-wal`` and ``-shm``, to the folder. Raises
    `ConfigError` as `parse_url` does.
    """
    files = database_files(url)
    if not files or not files[0].exists():
        return True
    return may_write(files[0]) and may_write(files[0].parent)


def parse_url(url: str) -> URL:
    """The parts of a database URL.

    Raises `ConfigError` for an invalid URL, an unsupported database, or a SQLite database in memory.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise ConfigError(f"database.url cannot be read: {error}", hint=_URL_HINT) from error
    if backend not in BACKENDS:
        raise ConfigError(f"database.url names {backend!r}", hint=_URL_HINT)
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigError("database.url names no file", hint=_URL_HINT)
    return parsed


def address(url: URL) -> str:
    """The database URL for people: without password, and with the path of a SQLite file readable.

    SQLAlchemy would escape every letter outside ASCII. This escapes only what `parse_url` would otherwise
    misread, so that the result can be typed again.
    """
    if url.get_backend_name() != "sqlite":
        return url.render_as_string()
    path = re.sub("%(?=[0-9a-fA-F]{2})", "%25", str(url.database)).replace("?", "%3F")
    return f"{url.drivername}:///{path}"


def database_files(url: str) -> list[Path]:
    """The files of a SQLite database, whether or not they exist; empty for Postgres.

    Raises `ConfigError` as `parse_url` does.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return []
    return [Path(f"{parsed.database}{ending}") for ending in ("", "-wal", "-shm")]


def create_file(url: str, mode: int) -> None:
    """Create the empty file of a SQLite database with the permission bits `mode`, unless it exists.

    SQLite gives the same permissions to its ``-wal`` and ``-shm``. Raises `OSError`, and `ConfigError` as
    `parse_url` does.
    """
    for path in database_files(url)[:1]:
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with suppress(PermissionError):  # a file system without permissions
                os.fchmod(handle, mode)
            os.close(handle)


def has_password(url: str) -> bool:
    """Whether the URL holds a password; an empty one, as in ``user:@host``, does not count.

    Raises `ConfigError` as `parse_url` does.
    """
    return bool(parse_url(url).password)


_URL_HINT = "use sqlite:///annotate.db or postgresql://user@host/name"


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # Left alone, sqlite3 opens transactions late and deferred; `_begin_sqlite` begins them instead.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    # A deferred transaction that reads and then writes fails with "locked" regardless of the timeout.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that sees one consistent state. Nothing is committed.

    Raises `AnnotateError` when the database cannot be reached.
    """
    with speaking(engine), Session(engine) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """One transaction: committed when the block ends, rolled back when it raises.

    Raises `AnnotateError` when the database cannot be reached or written.
    """
    with speaking(engine), Session(engine.execution_options(writes=True)) as session, session.begin():
        yield session


@contextmanager
def speaking(engine: Engine | None = None) -> Iterator[None]:
    """Turn database errors about damage, the disk, the server or locks into `AnnotateError`.

    `engine` is named in the message. Errors of a statement, such as a broken constraint, pass through.
    """
    try:
        yield
    except DBAPIError as error:
        refusal = trouble(error, engine)
        if refusal is None:
            raise
        raise refusal from error
