"""Reads a SQLite database that this process may not write to, nor the folder that it lies in.

A database in WAL mode has part of its content in ``-wal`` while somebody uses it, or after a crash, and wants
to write to ``-shm`` even for reading. So what is opened depends on which of those files are there.
"""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event


def listen(engine: Engine) -> None:
    """Make every connection of `engine` one that only reads."""
    event.listen(engine, "do_connect", _connect_to)
    event.listen(engine, "connect", _set_up)


def _connect_to(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
    """Replace the file name in the arguments of `sqlite3.connect` by a URI."""
    arguments[0] = address(Path(arguments[0]))
    options["uri"] = True


def _set_up(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by `db.engine`
    connection.execute("PRAGMA query_only=ON")


def address(path: Path) -> str:
    """The URI under which the database at `path` can be read by a process that cannot write there."""
    wal, shm = (Path(f"{path}{ending}") for ending in ("-wal", "-shm"))
    uri = path.resolve().as_uri()
    if not wal.exists() or wal.stat().st_size == 0:
        # Nobody has it open: all of it is in the one file, which SQLite may read without any lock.
        return f"{uri}?mode=ro&immutable=1"
    if shm.exists():
        return f"{uri}?mode=ro"
    return f"{_copied(path, wal).as_uri()}?mode=ro"


def _copied(path: Path, wal: Path) -> Path:
    """A copy in a folder of this process: a crash left a ``-wal``, whose index has to be built anew."""
    folder = Path(tempfile.mkdtemp(prefix="annotate-read-only-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for source, name in ((path, "copy.db"), (wal, "copy.db-wal")):
        shutil.copyfile(source, folder / name)
    return folder / "copy.db"
