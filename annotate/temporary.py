"""Temporary files and folders that nobody can mistake for a user's, and the deletion of those a kill left.

Each is called ``.annotate-<machine>-<process>-<started>-<random>.part``: 64 random bits that nobody guesses,
and the process that made it. Only such names are ever deleted, and only once that process has ended. Whether
a process of another machine has ended cannot be told, so what it left is deleted when it is a day old.
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
"""What a process of another machine wrote last so long ago is taken for left over."""

_NAME = re.compile(
    r"\.annotate-(?P<machine>[0-9a-f]{8})-(?P<process>[0-9]{1,10})-(?P<started>[0-9a-f]{8})-[0-9a-f]{16}\.part"
)


def temporary_name() -> str:
    """The name of a new temporary file or folder of this process."""
    pid = os.getpid()
    return f".annotate-{_machine()}-{pid}-{_own_start(pid)}-{secrets.token_hex(8)}.part"


PATTERN = ".annotate-*.part"
"""For `glob`: every temporary name fits, and perhaps other ones."""


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A new private folder in `parent`, deleted with all it holds when the block ends."""
    folder = parent / temporary_name()
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_temporary(path: Path) -> bool:
    """Whether the name is one that `temporary_name` gives."""
    return _NAME.fullmatch(path.name) is not None


def is_of_this_machine(path: Path) -> bool:
    """Whether the name was given by a process that this one could see."""
    name = _NAME.fullmatch(path.name)
    return name is not None and name["machine"] == _machine()


def is_abandoned(path: Path, *, ours_too: bool = False) -> bool:
    """Whether `path` is temporary and the process that made it has ended, as far as can be told.

    `ours_too`: what this process made counts as abandoned as well.
    """
    name = _NAME.fullmatch(path.name)
    if name is None:
        return False
    if ours_too and int(name["process"]) == os.getpid() and name["started"] == _own_start(os.getpid()):
        return True
    if name["machine"] != _machine():
        return time.time() - _last_change(path) > STALE_SECONDS
    started = process_start(int(name["process"]))
    return not started or _digest(started) != name["started"]


def sweep(paths: Iterable[Path], *, ours_too: bool = False) -> int:
    """Delete those of `paths` that are abandoned, whether file or folder; how many there were.

    `ours_too`: what this process made is deleted as well. What cannot be deleted is left.
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
    """When a process started, in this boot of the machine; empty when it is gone or only a zombie."""
    if not Path("/proc/self/stat").exists():
        return _start_by_ps(pid)
    try:
        # The name in brackets may hold spaces and brackets itself.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _start_by_ps(pid: int) -> str:
    """The same where there is no /proc."""
    answer = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


@cache
def _own_start(pid: int) -> str:
    """Of this process, whose number changes when it forks."""
    return _digest(process_start(pid))


@cache
def _machine() -> str:
    """This machine, and on it the container whose processes can be seen: other ones have other numbers."""
    namespace = ""
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return _digest(f"{socket.gethostname()} {namespace}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _last_change(path: Path) -> float:
    """When `path`, or anything in it, was written last."""
    times = [0.0]
    for one in (path, *path.rglob("*")):
        with suppress(OSError):
            times.append(one.lstat().st_mtime)
    return max(times)
