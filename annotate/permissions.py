"""Permissions of the files of a project, independent of the user's umask."""

import os
import stat
from contextlib import suppress
from enum import StrEnum
from pathlib import Path


class Access(StrEnum):
    """Who may use the files of a project besides the owner (the setting `storage.access`)."""

    OWNER = "owner"
    """Nobody."""
    GROUP = "group"
    """Members of the group of the project folder may read and write."""
    EVERYONE = "everyone"
    """As `GROUP`, and everybody else on the machine may read."""

    @property
    def folder_mode(self) -> int:
        """Permission bits of a folder, with setgid: new files get the group of the folder."""
        return {Access.OWNER: 0o700, Access.GROUP: 0o2770, Access.EVERYONE: 0o2775}[self]

    @property
    def file_mode(self) -> int:
        """Permission bits of a file."""
        return {Access.OWNER: 0o600, Access.GROUP: 0o660, Access.EVERYONE: 0o664}[self]

    @property
    def chmod_less(self) -> str:
        """Argument of ``chmod`` that removes excess permissions."""
        return {Access.OWNER: "go-rwx", Access.GROUP: "o-rwx", Access.EVERYONE: "o-w"}[self]

    @property
    def chmod_more(self) -> str:
        """Argument of ``chmod`` that adds missing permissions."""
        return {Access.OWNER: "u+rwX", Access.GROUP: "g+rwX", Access.EVERYONE: "g+rwX,o+rX"}[self]

    def too_wide(self, path: Path) -> bool:
        """Whether more people than intended can use the file or folder `path`. Raises `OSError`."""
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o077 & ~self._mode(path))

    def too_narrow(self, path: Path) -> bool:
        """Whether some intended users cannot use the file or folder `path`. Raises `OSError`."""
        return bool(self._mode(path) & 0o077 & ~path.stat().st_mode)

    def _mode(self, path: Path) -> int:
        return self.folder_mode if path.is_dir() else self.file_mode


def may_write(path: Path) -> bool:
    """Whether this process may write to `path`; False on read-only file systems."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def make_folder(folder: Path, mode: int | None = None) -> None:
    """Create `folder` and its missing parents, unless they exist.

    A new folder gets the permission bits `mode`, or by default those of its parent, so that the same people
    may use both. Raises `OSError`.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        with suppress(OSError):  # some file systems, such as FAT, have no permissions
            folder.chmod(_inherited(folder.parent) if mode is None else mode)
    if not folder.is_dir():
        raise FileExistsError(17, os.strerror(17), str(folder))


def file_mode_in(folder: Path) -> int:
    """Permission bits of a new file in `folder`, so that the same people may use both."""
    return _inherited(folder) & 0o666


def _inherited(folder: Path) -> int:
    """Permission bits of a new folder in `folder`; private in a sticky folder such as /tmp."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_ISVTX:
        return 0o700
    return 0o700 | mode & 0o2075
