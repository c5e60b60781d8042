"""Measures the processor time and memory that choosing a batch takes."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")
SELF = Path("/proc/self")


class ResourceUse(NamedTuple):
    """The resources that one call used."""

    seconds: float
    """Processor time."""
    peak_bytes: int | None
    """Peak memory above that before the call; None where the system does not report it."""


def measured(call: Callable[[], T]) -> tuple[T, ResourceUse]:
    """The value of a call, and the resources that it used."""
    memory_before = _reset_peak()
    started = time.process_time()
    value = call()
    seconds = time.process_time() - started
    peak = _memory("VmHWM")
    if memory_before is None or peak is None:
        return value, ResourceUse(seconds, None)
    return value, ResourceUse(seconds, max(0, peak - memory_before))


def _reset_peak() -> int | None:
    """Reset the peak of the process (Linux only) and return its present memory in bytes."""
    with suppress(OSError):
        (SELF / "clear_refs").write_text("5")
        return _memory("VmRSS")
    return None


def _memory(name: str) -> int | None:
    with suppress(OSError):
        match = re.search(rf"^{name}:\s+(\d+) kB", (SELF / "status").read_text(), re.MULTILINE)
        return int(match[1]) * 1024 if match else None
    return None
