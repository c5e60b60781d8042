"""Reads a SQLite database when this process may write neither to its file nor to its folder.

A database in WAL mode has part of its content in ``-wal`` while it is in use, or after a crash, and writes to
``-shm`` even when it is only read. So the way to open it depends on which of these files exist.
"""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event


def listen(engine: Engine) -> None:
    """Make every connection of `engine` read-only."""

    @event.listens_for(engine, "do_connect")
    def pass_uri(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
        arguments[0] = address(Path(arguments[0]))
        options["uri"] = True

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # `db.engine` begins the transactions
        connection.execute("PRAGMA query_only=ON")


def address(path: Path) -> str:
    """The URI under which the database at `path` can be read by a process that cannot write there."""
    wal, shm = (Path(f"{path}{ending}") for ending in ("-wal", "-shm"))
    uri = path.resolve().as_uri()
    if not wal.exists() or wal.stat().st_size == 0:
        # Nobody has it open: everything is in the one file, which SQLite can read without a lock.
        return f"{uri}?mode=ro&immutable=1"
    if shm.exists():
        return f"{uri}?mode=ro"
    # A crash left a ``-wal`` without its index, which can be rebuilt only where this process may write.
    folder = Path(tempfile.mkdtemp(prefix="annotate-read-only-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for source, name in ((path, "copy.db"), (wal, "copy.db-wal")):
        shutil.copyfile(source, folder / name)
    return f"{(folder / 'copy.db').as_uri()}?mode=ro"
