"""The worker's side of every executor: how work tells that it gets on, and how its answer is packed."""

import math
import pickle
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from annotate.types import Sign

ONE_THREAD: Mapping[str, str] = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)
"""Set before a worker starts: libraries read them once, while they are imported."""

START_SECONDS = 120.0
"""What starting Python and importing the function may take on top of the first deadline."""

ALIVE_SECONDS = 1.0
"""How often a worker tells at most that it gets on."""


class _Life:
    """Where signs go in a worker; nowhere elsewhere."""

    tell: Callable[[Sign], None] | None = None
    told = -math.inf


_life = _Life()


@contextmanager
def telling(tell: Callable[[Sign], None]) -> Iterator[None]:
    """Inside of the block, signs of life go to `tell`; the first is told at once."""
    _life.tell, _life.told = tell, time.monotonic()
    try:
        tell(Sign())
        yield
    finally:
        _life.tell = None


def alive(done_us: int = 0, of_us: int = 0) -> None:
    """Called by long work wherever it gets on: the deadline counts from here. Nothing outside of a worker.

    `done_us` tells how far into `of_us` microseconds of footage it is; 0 and 0 where that has no meaning.
    """
    if _life.tell is None:
        return
    now = time.monotonic()
    if now - _life.told > ALIVE_SECONDS:
        _life.told = now
        _life.tell(Sign(done_us, of_us))


def answer(fn: Callable[[Any], Any], unit: Any) -> tuple[str, Any]:
    """``done`` and the value, or ``error`` and the traceback.

    Pickled here once, so that a value that cannot be pickled is an error of its unit.
    """
    try:
        value = fn(unit)
        pickle.dumps(value)
    except Exception:
        return "error", traceback.format_exc()
    return "done", value
