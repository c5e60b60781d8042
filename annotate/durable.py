"""Writes files atomically and durably: after a kill or a power cut they are complete or absent."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from annotate.permissions import file_mode_in, make_folder
from annotate.temporary import temporary_name


def write_whole(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write `content` to `path` atomically, and create its folder. Safe with concurrent writers.

    The file gets the permission bits `mode`; by default an existing file keeps its bits, and a new one gets
    those of its folder. Raises `OSError` and leaves no file behind. A killed process leaves a temporary file
    that `annotate.temporary.sweep` deletes.
    """
    make_folder(path.parent)
    partial = path.with_name(temporary_name())
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            with suppress(PermissionError):  # some file systems, such as FAT, have no permissions
                os.fchmod(file.fileno(), _mode_of(path) if mode is None else mode)
            os.fsync(file.fileno())
        partial.replace(path)
        sync(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _mode_of(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return file_mode_in(path.parent)


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's directory entries, to the disk (fsync)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
