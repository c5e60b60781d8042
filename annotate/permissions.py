"""Who may read and write the files of a project, whatever the user's umask is."""

import os
import stat
from contextlib import suppress
from enum import StrEnum
from pathlib import Path


class Access(StrEnum):
    """Who besides the owner may use the files of a project: the setting `storage.access`."""

    OWNER = "owner"
    """Nobody."""
    GROUP = "group"
    """The members of the group that the project folder belongs to: they read and write."""
    EVERYONE = "everyone"
    """The group as above; everybody else on the machine reads."""

    @property
    def folder_mode(self) -> int:
        """Permission bits of a folder. New files get its group, not that of the user who makes them."""
        return {Access.OWNER: 0o700, Access.GROUP: 0o2770, Access.EVERYONE: 0o2775}[self]

    @property
    def file_mode(self) -> int:
        """Permission bits of a file."""
        return {Access.OWNER: 0o600, Access.GROUP: 0o660, Access.EVERYONE: 0o664}[self]

    @property
    def chmod_less(self) -> str:
        """What ``chmod`` takes from files that are open to more people."""
        return {Access.OWNER: "go-rwx", Access.GROUP: "o-rwx", Access.EVERYONE: "o-w"}[self]

    @property
    def chmod_more(self) -> str:
        """What ``chmod`` gives to files that are open to fewer people."""
        return {Access.OWNER: "u+rwX", Access.GROUP: "g+rwX", Access.EVERYONE: "g+rwX,o+rX"}[self]

    def too_wide(self, path: Path) -> bool:
        """Whether others than these can use the file or folder `path`. Raises `OSError`."""
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o077 & ~self._mode(path))

    def too_narrow(self, path: Path) -> bool:
        """Whether some of these cannot use the file or folder `path`. Raises `OSError`."""
        return bool(self._mode(path) & 0o077 & ~path.stat().st_mode)

    def _mode(self, path: Path) -> int:
        return self.folder_mode if path.is_dir() else self.file_mode


def may_write(path: Path) -> bool:
    """Whether this process may write to `path`; a disk that is mounted read-only counts as well."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def make_folder(folder: Path, mode: int | None = None) -> None:
    """Make `folder` unless it is there, and the folders above it that are missing.

    A new folder has exactly the permission bits `mode`; without them those of the folder that it lies in,
    so that whoever may use the one may use the other. Raises `OSError`.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        with suppress(OSError):  # some file systems, such as FAT, keep no permissions
            folder.chmod(_inherited(folder.parent) if mode is None else mode)
    if not folder.is_dir():
        raise FileExistsError(17, os.strerror(17), str(folder))


def file_mode_in(folder: Path) -> int:
    """The permission bits of a new file in `folder`: whoever may use the one may use the other."""
    return _inherited(folder) & 0o666


def _inherited(folder: Path) -> int:
    """Bits for a folder in `folder`. One that everybody may write to, such as /tmp, passes nothing on."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_ISVTX:
        return 0o700
    return 0o700 | mode & 0o2075
