"""The worker's side of every executor: heartbeats while a unit is worked on, and its packed result."""

import math
import pickle
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from annotate.types import Heartbeat

ONE_THREAD: Mapping[str, str] = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)
"""Set before a worker starts: libraries read them once, while they are imported."""

START_SECONDS = 120.0
"""Time for starting Python and importing the function, on top of the first deadline."""

INTERVAL_SECONDS = 1.0
"""Shortest time between two heartbeats of a worker."""


class _Sender:
    """Where the heartbeats of this process go: nowhere, unless it is a worker."""

    send: Callable[[Heartbeat], None] | None = None
    last_sent = -math.inf


_sender = _Sender()


@contextmanager
def heartbeats_to(send: Callable[[Heartbeat], None]) -> Iterator[None]:
    """Inside the block, heartbeats go to `send`; the first is sent immediately."""
    _sender.send, _sender.last_sent = send, time.monotonic()
    try:
        send(Heartbeat())
        yield
    finally:
        _sender.send = None


def send_heartbeat(done_us: int = 0, of_us: int = 0) -> None:
    """Called by long work wherever it makes progress: this restarts its deadline. No effect outside a worker.

    `done_us` of `of_us` microseconds of footage are done; both are 0 where that has no meaning.
    """
    if _sender.send is None:
        return
    now = time.monotonic()
    if now - _sender.last_sent > INTERVAL_SECONDS:
        _sender.last_sent = now
        _sender.send(Heartbeat(done_us, of_us))


def run_unit(fn: Callable[[Any], Any], unit: Any) -> tuple[str, Any]:
    """``done`` and the value of ``fn(unit)``, or ``error`` and the traceback.

    The value is pickled once here, so that one that cannot be pickled is an error of its unit.
    """
    try:
        value = fn(unit)
        pickle.dumps(value)
    except Exception:
        return "error", traceback.format_exc()
    return "done", value
