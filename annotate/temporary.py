"""Temporary files and folders with unmistakable names, and the deletion of those that a kill left behind.

The name ``.annotate-<machine>-<process>-<started>-<random>.part`` holds 64 random bits and identifies the
process that created it. Only such names are ever deleted, and only after that process has ended. Processes of
other machines cannot be observed, so their files are deleted once they are a day old.
"""

import hashlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

STALE_SECONDS = 86_400.0
"""Age after which files of a process on another machine count as abandoned."""

_NAME = re.compile(
    r"\.annotate-(?P<machine>[0-9a-f]{8})-(?P<process>[0-9]{1,10})-(?P<started>[0-9a-f]{8})-[0-9a-f]{16}\.part"
)


def temporary_name() -> str:
    """The name of a new temporary file or folder of this process."""
    pid = os.getpid()
    return f".annotate-{_machine()}-{pid}-{_own_start(pid)}-{secrets.token_hex(8)}.part"


PATTERN = ".annotate-*.part"
"""A glob pattern that matches every temporary name, and possibly others."""


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Create a private folder in `parent` and delete it with its content when the block ends."""
    folder = parent / temporary_name()
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_temporary(path: Path) -> bool:
    """Whether the name has the form of `temporary_name`."""
    return _NAME.fullmatch(path.name) is not None


def is_of_this_machine(path: Path) -> bool:
    """Whether the name comes from a process on this machine and in this container."""
    name = _NAME.fullmatch(path.name)
    return name is not None and name["machine"] == _machine()


def is_abandoned(path: Path, *, ours_too: bool = False) -> bool:
    """Whether `path` is temporary and the process that created it has ended, as far as is known.

    With `ours_too`, files of this process count as abandoned as well.
    """
    name = _NAME.fullmatch(path.name)
    if name is None:
        return False
    if ours_too and int(name["process"]) == os.getpid() and name["started"] == _own_start(os.getpid()):
        return True
    if name["machine"] != _machine():
        changed = [0.0]
        for entry in (path, *path.rglob("*")):
            with suppress(OSError):
                changed.append(entry.lstat().st_mtime)
        return time.time() - max(changed) > STALE_SECONDS
    started = process_start(int(name["process"]))
    return not started or _digest(started) != name["started"]


def sweep(paths: Iterable[Path], *, ours_too: bool = False) -> int:
    """Delete the abandoned files and folders among `paths`; return how many there were.

    With `ours_too`, files of this process are deleted as well. Files that cannot be deleted stay.
    """
    abandoned = [path for path in paths if is_abandoned(path, ours_too=ours_too)]
    for path in abandoned:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
    return len(abandoned)


def process_start(pid: int) -> str:
    """Identifies the boot and the start time of a process; empty if it has ended or is a zombie."""
    if not Path("/proc/self/stat").exists():
        return _start_by_ps(pid)
    try:
        # The process name in parentheses may contain spaces and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _start_by_ps(pid: int) -> str:
    """`process_start` for systems without /proc."""
    answer = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


@cache
def _own_start(pid: int) -> str:
    """The digest for this process; cached by id, because a fork changes the id."""
    return _digest(process_start(pid))


@cache
def _machine() -> str:
    """Identifies this machine and its process namespace: containers number their processes separately."""
    namespace = ""
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return _digest(f"{socket.gethostname()} {namespace}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
