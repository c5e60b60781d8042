"""Worker processes that can be killed one by one: a unit that hangs or crashes costs only itself.

Each worker has a pipe of its own, so a process that dies in the middle of a message does not damage another.
(A pool with one shared queue cannot promise that, nor notice a worker that exited with code 0.)
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
from annotate.executors.heartbeat import ONE_THREAD, START_SECONDS, heartbeats_to, run_unit
from annotate.registry import executor
from annotate.types import Failed, Failure, Finished, Heartbeat, R, U, Working

_PR_SET_PDEATHSIG = 1


@executor("process")
class ProcessExecutor:
    """Runs units of work in processes of this machine, each of which can be killed alone."""

    def __init__(self, *, address: str = "") -> None:
        """Raises `UsageError` for an address, because no other machine is used."""
        if address:
            raise UsageError(
                f"the executor `process` runs on this machine and has no address, but {address!r} is given",
                hint="leave ingest.address empty, or use another executor; see `annotate list`",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        """Nothing to do: each run ends what it started."""

    def slots(self) -> int:
        """One per processor that this process may use."""
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

        A worker is killed when it has sent no heartbeat for `deadline_seconds`. `fn` is a top-level function
        (or a `functools.partial` of one) without shared state. At most `window` units are drawn from `units`
        ahead of the workers. Closing the iterator kills the workers.
        """
        pool: list[_Worker[U, R]] = []
        queue: deque[U] = deque()
        source = iter(units)
        exhausted = False
        try:
            while True:
                pool = [worker for worker in pool if worker.alive]
                idle = [worker for worker in pool if not worker.busy]
                # A worker is started only when a unit waits for it.
                while queue and (idle or len(pool) < workers):
                    if not idle:
                        idle.append(_Worker(fn))
                        pool.append(idle[-1])
                    idle.pop().give(queue.popleft(), deadline_seconds)
                busy = [worker for worker in pool if worker.busy]
                if not exhausted and len(queue) < window:
                    # While units can still be drawn, poll the workers without waiting for them.
                    exhausted = not draw(source, queue)
                    timeout = 0.0
                elif busy:
                    timeout = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
                else:
                    return
                messages = wait([worker.pipe for worker in busy], timeout) if busy else []
                now = time.monotonic()
                for worker in busy:
                    if worker.pipe in messages or now >= worker.deadline:
                        yield worker.outcome(deadline_seconds)
        finally:
            for worker in pool:
                worker.kill()


def processors() -> int:
    """How many processors of this machine this process may use."""
    return (len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()) or 1


def draw(source: Iterator[U], queue: deque[U]) -> bool:
    """Append the next unit of `source` to `queue`; False when there is none."""
    for unit in source:
        queue.append(unit)
        return True
    return False


class _Worker(Generic[U, R]):
    """One process and the driver's end of its pipe. The pipe closes when the process ends."""

    def __init__(self, fn: Callable[[U], R]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, worker_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(worker_end, fn, os.getpid()), daemon=True)
        with _worker_environment():
            self._process.start()
        worker_end.close()
        self.alive = True
        self.busy = False
        self.deadline = math.inf

    def give(self, unit: U, deadline_seconds: float) -> None:
        """Send a unit. A worker that has ended already is noticed when its result is read."""
        self._unit = unit
        self.busy = True
        self.deadline = time.monotonic() + START_SECONDS + deadline_seconds
        payload = pickle.dumps(unit)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send_bytes(payload)

    def outcome(self, deadline_seconds: float) -> "Working[U] | Finished[U, R] | Failed[U]":
        """The message of a worker that sent one; its failure when it has ended, or is past its deadline."""
        if not self.pipe.poll():
            self.kill()
            return Failed(
                self._unit, Failure.TIMEOUT, f"made no progress for {deadline_seconds:g} s and was stopped"
            )
        try:
            kind, value = self.pipe.recv()
        except (EOFError, ConnectionResetError, pickle.UnpicklingError):
            self._process.join(5)
            code = self._process.exitcode
            self.kill()
            message = f"its process ended with exit code {code} before it was done"
            if code is not None and code < 0:
                names = {member.value: member.name for member in signal.Signals}
                message = f"its process was killed by signal {-code} ({names.get(-code, 'unknown')})"
            return Failed(self._unit, Failure.DIED, message)
        if kind == "heartbeat":
            self.deadline = time.monotonic() + deadline_seconds
            return Working(self._unit, value)
        self.busy = False
        return Finished(self._unit, value) if kind == "done" else Failed(self._unit, Failure.ERROR, value)

    def kill(self) -> None:
        """Kill the process, and all processes that it started."""
        if not self.alive:
            return
        self.alive = self.busy = False
        if self._process.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self.pipe.close()


@contextmanager
def _worker_environment() -> Iterator[None]:
    """Processes started inside the block use one thread per library, and leave Ctrl-C to the driver."""
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
    """The worker's loop: one unit after the other, until the driver closes the pipe or ends."""
    # A process group of its own, so that all processes that the unit starts are killed with it.
    os.setpgrp()
    if sys.platform == "linux":
        # The kernel kills this process when the driver ends, in whatever way.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != driver:
            os._exit(1)

    def send(heartbeat: Heartbeat) -> None:
        pipe.send(("heartbeat", heartbeat))

    while True:
        try:
            unit = pipe.recv()
            with heartbeats_to(send):
                result = run_unit(fn, unit)
            pipe.send(result)
        except (EOFError, BrokenPipeError):
            return
