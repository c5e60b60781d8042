"""What choosing a batch costs this machine."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")
SELF = Path("/proc/self")


class Spent(NamedTuple):
    """Of one call."""

    seconds: float
    """Of the processor."""
    peak_bytes: int | None
    """Memory at its highest, on top of what was held before; None where the system does not tell."""


def measured(call: Callable[[], T]) -> tuple[T, Spent]:
    """The value of a call, and what it took."""
    held = _reset()
    started = time.process_time()
    value = call()
    seconds = time.process_time() - started
    peak = _memory("VmHWM")
    return value, Spent(seconds, None if held is None or peak is None else max(0, peak - held))


def _reset() -> int | None:
    """Let the peak count from now on; what is held, in bytes. Linux only."""
    with suppress(OSError):
        (SELF / "clear_refs").write_text("5")
        return _memory("VmRSS")
    return None


def _memory(name: str) -> int | None:
    with suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB", (SELF / "status").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return None
