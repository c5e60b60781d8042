"""Hashes files, and writes them so that neither a kill nor a full disk leaves half of one."""

import errno
import hashlib
import os
from pathlib import Path

from annotate.errors import MediaError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's content, read in pieces.

    Raises `MediaError` with code ``unreadable`` if the file cannot be opened or read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> MediaError:
    """What to tell the user when the system refuses to read `path`."""
    return MediaError(
        f"{path} cannot be read: {error.strerror}",
        code="unreadable",
        hint="check that the file still exists and that you may read it",
    )


def write_atomic(path: Path, content: bytes) -> str:
    """Write `content` to `path`, all or nothing and safe against power loss; return its sha256.

    Raises `MediaError` with code ``disk-full`` when there is no room; nothing is left behind then.
    """
    # The process number keeps two runs apart, and tells a later sweep whose leftovers these are.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in _FULL:
            raise disk_full(path) from error
        raise
    return hashlib.sha256(content).hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_full(path: Path) -> MediaError:
    """What to tell the user when there is no room for `path`."""
    return MediaError(
        f"no room left on the disk while writing {path}",
        code="disk-full",
        hint="free some space, then run the same command again: it goes on where it stopped",
    )
