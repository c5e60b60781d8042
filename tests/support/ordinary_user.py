"""Runs a part of a test without the power of root to write to every file."""

import ctypes
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_VERSION = 0x20080522
_FILE_CAPABILITIES = 0b1111
"""CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER, see capabilities(7)."""


def as_an_ordinary_user(function: Callable[[], T]) -> T:
    """What `function` returns, run in a thread that obeys the permissions of files, also for root."""
    if os.geteuid() != 0:
        return function()
    with ThreadPoolExecutor(1, initializer=_obey_permissions) as thread:
        return thread.submit(function).result()


def _obey_permissions() -> None:
    """Capabilities belong to a thread, so the others keep theirs."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, data) == 0
    for position in range(3):  # effective, permitted, inheritable: their lower halves
        data[position] &= ~_FILE_CAPABILITIES
    assert libc.capset(header, data) == 0


def forbid_writing(root: Path) -> None:
    """Take the permission to write from everything below `root`."""
    for path in (root, *root.rglob("*")):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
