"""Worker processes that can be killed: a unit that hangs or takes its process down costs only itself.

Each worker has a pipe of its own, so a process that dies in the middle of a message damages no other.
(A pool with one shared queue cannot promise that, nor tell a worker that left with exit code 0.)
"""

import ctypes
import math
import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Self

from annotate.errors import UsageError
from annotate.executors._alive import ONE_THREAD, START_SECONDS, answer, telling
from annotate.registry import executor
from annotate.types import Failed, Failure, Finished, R, Sign, U, Working

_PR_SET_PDEATHSIG = 1


@executor("process")
class ProcessExecutor:
    """Runs units in processes of this machine, each of which can be killed alone."""

    def __init__(self, *, address: str = "") -> None:
        """Raises `UsageError` for an address: there is no other machine."""
        if address:
            raise UsageError(
                f"the executor `process` runs on this machine and has no address, but {address!r} is given",
                hint="leave ingest.address empty, or use another executor; see `annotate list`",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        """Each run has ended what it started."""

    def slots(self) -> int:
        """One per processor that we may use."""
        return processors()

    def run(
        self,
        fn: Callable[[U], R],
        units: Iterable[U],
        *,
        workers: int,
        deadline_seconds: float,
        window: int,
    ) -> Iterator[Working[U] | Finished[U, R] | Failed[U]]:
        """One outcome per unit, in any order; nothing is tried again.

        A worker is killed once it has shown no sign of life (`alive`) for `deadline_seconds`.
        `fn` is a top-level function (or a `functools.partial` of one) without shared state. At most `window`
        units are drawn from `units` ahead of the workers. Closing the iterator kills the workers.
        """
        crew: list[_Worker[U, R]] = []
        ahead: deque[U] = deque()
        source = iter(units)
        drained = False
        try:
            while True:
                _hand_out(crew, ahead, fn, workers, deadline_seconds)
                busy = [worker for worker in crew if worker.busy]
                if not drained and len(ahead) < window:
                    # While units can still be drawn, the workers are only looked at, not waited for.
                    drained = not _draw(source, ahead)
                    patience = 0.0
                elif busy:
                    patience = _patience(busy)
                else:
                    return
                for worker in _ready(busy, patience):
                    yield worker.news(deadline_seconds)
        finally:
            for worker in crew:
                worker.kill()


def processors() -> int:
    """How many of this machine we may use."""
    return (len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()) or 1


def _draw(source: Iterator[U], ahead: deque[U]) -> bool:
    """Put the next unit in line; False when there is none."""
    for unit in source:
        ahead.append(unit)
        return True
    return False


def _hand_out(
    crew: "list[_Worker[U, R]]", ahead: deque[U], fn: Callable[[U], R], workers: int, deadline_seconds: float
) -> None:
    """Give every idle worker a unit; start workers only as units wait for them."""
    crew[:] = [worker for worker in crew if worker.alive]
    idle = [worker for worker in crew if not worker.busy]
    while ahead and (idle or len(crew) < workers):
        if not idle:
            idle.append(_Worker(fn))
            crew.append(idle[-1])
        idle.pop().give(ahead.popleft(), deadline_seconds)


def _patience(busy: "list[_Worker[U, R]]") -> float:
    """Seconds until the first deadline."""
    return max(0.0, min(worker.deadline for worker in busy) - time.monotonic())


def _ready(busy: "list[_Worker[U, R]]", patience: float) -> "list[_Worker[U, R]]":
    """The workers that have something to tell, are gone, or are past their deadline."""
    if not busy:
        return []
    told = wait([worker.pipe for worker in busy], patience)
    now = time.monotonic()
    return [worker for worker in busy if worker.pipe in told or now >= worker.deadline]


class _Worker(Generic[U, R]):
    """One process and the driver's end of its pipe. The pipe closes when the process ends."""

    def __init__(self, fn: Callable[[U], R]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, fn, os.getpid()), daemon=True)
        with _quiet_start():
            self._process.start()
        theirs.close()
        self.alive = True
        self.busy = False
        self.deadline = math.inf

    def give(self, unit: U, deadline_seconds: float) -> None:
        """Hand over a unit. A worker that is gone already is noticed when its answer is read."""
        self._unit = unit
        self.busy = True
        self.deadline = time.monotonic() + START_SECONDS + deadline_seconds
        payload = pickle.dumps(unit)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send_bytes(payload)

    def news(self, deadline_seconds: float) -> "Working[U] | Finished[U, R] | Failed[U]":
        """What there is to tell of a worker that spoke, is gone, or is past its deadline."""
        if not self.pipe.poll():
            self.kill()
            return Failed(
                self._unit, Failure.TIMEOUT, f"got nowhere for {deadline_seconds:g} s and was stopped"
            )
        try:
            kind, value = self.pipe.recv()
        except (EOFError, ConnectionResetError, pickle.UnpicklingError):
            return Failed(self._unit, Failure.DIED, self._last_words())
        if kind == "alive":
            self.deadline = time.monotonic() + deadline_seconds
            return Working(self._unit, value)
        self.busy = False
        return Finished(self._unit, value) if kind == "done" else Failed(self._unit, Failure.ERROR, value)

    def kill(self) -> None:
        """End the process, and whatever it started."""
        if not self.alive:
            return
        self.alive = self.busy = False
        if self._process.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _last_words(self) -> str:
        self._process.join(5)
        code = self._process.exitcode
        self.kill()
        if code is not None and code < 0:
            return f"its process was killed by signal {-code} ({_signal_name(-code)})"
        return f"its process ended with exit code {code} before it was done"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


@contextmanager
def _quiet_start() -> Iterator[None]:
    """What is started here uses one thread per library and never hears of Ctrl-C: the driver does."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _serve(pipe: Connection, fn: Callable[[Any], Any], driver: int) -> None:
    """The worker: one unit after the other, until the driver closes the pipe or is gone."""
    # A group of its own, so that whatever the unit starts is killed with it.
    os.setpgrp()
    _die_with(driver)

    def tell(sign: Sign) -> None:
        pipe.send(("alive", sign))

    while True:
        try:
            unit = pipe.recv()
            with telling(tell):
                made = answer(fn, unit)
            pipe.send(made)
        except (EOFError, BrokenPipeError):
            return


def _die_with(driver: int) -> None:
    """Have the kernel kill this process when the driver ends, however it ends."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != driver:
        os._exit(1)
