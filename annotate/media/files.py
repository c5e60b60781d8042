"""Writes media files atomically, and turns errors of the file system into messages for the user."""

import errno
import hashlib
from pathlib import Path

from annotate.durable import write_whole
from annotate.errors import MediaError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of the operating system for a disk, a quota or a file that is full."""


def unreadable(path: Path, error: OSError) -> MediaError:
    """The error for a file that the operating system refuses to read."""
    return MediaError(
        f"{path} cannot be read: {error.strerror}",
        code="unreadable",
        hint="check that the file still exists and that you may read it",
    )


def write_atomic(path: Path, content: bytes) -> str:
    """Write `content` to `path` atomically and durably; return its sha256 in hexadecimal.

    Raises `MediaError` with code ``disk-full`` when the disk is full; no partial file remains.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise disk_full(path) from error
        raise
    return hashlib.sha256(content).hexdigest()


def disk_full(path: Path) -> MediaError:
    """The error for a full disk."""
    return MediaError(
        f"no room left on the disk while writing {path}",
        code="disk-full",
        hint="free some space, then run the same command again: it goes on where it stopped",
    )
