"""Writes media files whole, and says what a failed reading or writing means to the user."""

import errno
import hashlib
from pathlib import Path

from annotate.durable import write_whole
from annotate.errors import MediaError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of the operating system for a disk, a quota or a file that is full."""


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
    try:
        write_whole(path, content)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise disk_full(path) from error
        raise
    return hashlib.sha256(content).hexdigest()


def disk_full(path: Path) -> MediaError:
    """What to tell the user when there is no room for `path`."""
    return MediaError(
        f"no room left on the disk while writing {path}",
        code="disk-full",
        hint="free some space, then run the same command again: it goes on where it stopped",
    )
