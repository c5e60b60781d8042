"""Runs units as tasks of a Ray cluster: on many machines, or in a local cluster that lasts for one run.

Each unit is a plain task (https://docs.ray.io/en/latest/ray-core/tasks.html) that Ray never retries: how
often a unit may take its worker down is counted where its outcomes are committed.
"""

import contextlib
import logging
import math
import os
import secrets
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Generic, Self

from annotate import __version__
from annotate.errors import AnnotateError
from annotate.executors.heartbeat import ONE_THREAD, START_SECONDS, heartbeats_to, run_unit
from annotate.executors.process import draw, processors
from annotate.registry import executor
from annotate.types import Failed, Failure, Finished, Heartbeat, R, U, Working

log = logging.getLogger("annotate.ray")

POLL_SECONDS = 0.5
"""How often heartbeats are read."""

OBJECT_STORE_BYTES = 100 << 20
"""Object store of a local cluster: units and outcomes are small, and clips never pass through Ray."""

QUIET: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""No usage statistics for the makers of Ray; tasks without a GPU keep their environment."""

LOCAL_CLUSTER: Mapping[str, str] = {
    # Ray takes 127.0.0.1 for "any address of this machine" unless this says that there is only one machine.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    # All processes that a unit starts are killed with its worker.
    "RAY_process_group_cleanup_enabled": "1",
}
"""For a local cluster: reachable from this machine only, and only with our token."""

INSTALL = "pip install 'annotate-clips[ray]' on every machine of the cluster"


@executor("ray")
class RayExecutor:
    """Runs units of work as tasks of a Ray cluster, on many machines."""

    def __init__(self, *, address: str = "") -> None:
        """`address` is ``host:port`` of a cluster that this machine is part of; empty starts a local one.

        Raises `AnnotateError` when Ray is not installed.
        """
        if find_spec("ray") is None:
            raise AnnotateError("the executor `ray` needs the package ray", hint=INSTALL)
        self._address = address
        self._ray: Any = None
        self._exit_stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        """Leave the cluster; a local one is stopped."""
        self._ray = None
        self._exit_stack.close()

    def slots(self) -> int:
        """One per processor of the cluster.

        Raises `AnnotateError` when no cluster answers at the address.
        """
        if not self._address:
            return processors()
        return max(1, int(self._join(0).cluster_resources().get("CPU", 1)))

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

        Raises `AnnotateError` when no cluster answers, or its machines cannot run this program.
        """
        tasks: _Tasks[U, R] | None = None
        queue: deque[U] = deque()
        source = iter(units)
        exhausted = False
        try:
            while True:
                if tasks is None and queue:
                    tasks = _Tasks(self._join(workers), fn, deadline_seconds)
                while tasks is not None and queue and len(tasks) < workers:
                    tasks.submit(queue.popleft())
                if not exhausted and len(queue) < window:
                    exhausted = not draw(source, queue)
                    timeout = 0.0
                elif tasks:
                    timeout = POLL_SECONDS
                else:
                    return
                if tasks:
                    yield from tasks.outcomes(timeout)
        finally:
            if tasks is not None:
                tasks.cancel()

    def _join(self, workers: int) -> Any:
        """The module `ray`, connected; a program that was connected before stays connected afterwards."""
        if self._ray is not None:
            return self._ray
        os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
        if not self._address:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            os.environ.update(
                {name: value for name, value in LOCAL_CLUSTER.items() if name not in os.environ}
            )
        import ray

        if not ray.is_initialized():
            self._connect(ray, workers)
        self._ray = ray
        return ray

    def _connect(self, ray: Any, workers: int) -> None:
        began = time.monotonic()
        # Ray prints messages about lost workers on stdout, where only the report belongs.
        self._exit_stack.enter_context(contextlib.redirect_stdout(_Log()))
        try:
            if self._address:
                ray.init(address=self._address, **_COMMON)
            else:
                # Always below /tmp, because the paths of its sockets must stay short.
                folder = tempfile.mkdtemp(prefix="annotate-ray-", dir="/tmp")
                self._exit_stack.callback(shutil.rmtree, folder, ignore_errors=True)
                # Never look for a running cluster: the address in the file of an earlier run may be stale.
                ray.init(
                    address="local", num_cpus=workers, num_gpus=0, include_dashboard=False, _temp_dir=folder,
                    object_store_memory=OBJECT_STORE_BYTES, _node_ip_address="127.0.0.1", **_COMMON,
                )  # fmt: skip
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            self._exit_stack.close()
            raise AnnotateError(
                f"no Ray cluster answers at {self._address or 'this machine'}: {_first_line(error)}",
                hint="this machine has to be part of the cluster: `ray start --address=HOST:PORT`; if the "
                "cluster has a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN here too",
            ) from error
        self._exit_stack.callback(ray.shutdown)
        log.info("Ray was ready after %.1f s", time.monotonic() - began)


_COMMON: Mapping[str, Any] = {
    "log_to_driver": False,
    "configure_logging": False,
    "runtime_env": {"env_vars": dict(ONE_THREAD)},
}


@dataclass(slots=True)
class _InFlight(Generic[U]):
    """A unit that was submitted to Ray."""

    number: int
    unit: U
    deadline: float = math.inf
    """Starts with its first heartbeat: until then it may wait for a free processor."""


class _Tasks(Generic[U, R]):
    """The units that were submitted to Ray, and the actor that receives their heartbeats."""

    def __init__(self, ray: Any, fn: Callable[[U], R], deadline_seconds: float) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray = ray
        self._fn = fn
        self._deadline_seconds = deadline_seconds
        self._in_flight: dict[Any, _InFlight[U]] = {}
        self._count = 0
        self._task = ray.remote(_work).options(num_cpus=1, max_retries=0)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._name = f"annotate-{secrets.token_hex(8)}"
        options = {"num_cpus": 0, "scheduling_strategy": here, "name": self._name}
        self._receiver = ray.remote(_HeartbeatReceiver).options(**options).remote()
        self._reading = self._receiver.read.remote()
        self._last_poll = time.monotonic()

    def __len__(self) -> int:
        return len(self._in_flight)

    def submit(self, unit: U) -> None:
        """Hand a unit to Ray."""
        self._count += 1
        ref = self._task.remote(self._fn, unit, self._name, self._count, __version__)
        self._in_flight[ref] = _InFlight(self._count, unit)

    def outcomes(self, timeout: float) -> Iterator[Working[U] | Finished[U, R] | Failed[U]]:
        """The events of at most `timeout` seconds, or until the first unit is done.

        A unit that is past its deadline is cancelled.
        """
        ready, _ = self._ray.wait(list(self._in_flight), num_returns=1, timeout=timeout)
        for ref in ready:
            yield self._result(ref, self._in_flight.pop(ref).unit)
        now = time.monotonic()
        if now - self._last_poll >= POLL_SECONDS:
            self._last_poll = now
            yield from self._heartbeats(now)
            for ref, submitted in list(self._in_flight.items()):
                if now >= submitted.deadline and not self._ray.wait([ref], timeout=0)[0]:
                    del self._in_flight[ref]
                    self._ray.cancel(ref, force=True)
                    message = f"made no progress for {self._deadline_seconds:g} s and was stopped"
                    yield Failed(submitted.unit, Failure.TIMEOUT, message)

    def _result(self, ref: Any, unit: U) -> Finished[U, R] | Failed[U]:
        errors = self._ray.exceptions
        try:
            kind, value = self._ray.get(ref)
        except (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
            errors.ObjectLostError,
        ) as error:
            return Failed(unit, Failure.DIED, f"its process ended before it was done: {_first_line(error)}")
        except errors.RayError as error:
            last_line = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise AnnotateError(
                f"a machine of the Ray cluster cannot run this program: {last_line}", hint=INSTALL
            ) from error
        if kind == "other version":
            raise AnnotateError(
                f"a machine of the Ray cluster has version {value} of this program, this one {__version__}",
                hint="install the same version on all of them",
            )
        return Finished(unit, value) if kind == "done" else Failed(unit, Failure.ERROR, value)

    def _heartbeats(self, now: float) -> Iterator[Working[U]]:
        """The heartbeats since the last poll."""
        if not self._ray.wait([self._reading], timeout=0)[0]:
            return
        try:
            heartbeats: Mapping[int, Heartbeat] = self._ray.get(self._reading)
        except self._ray.exceptions.RayError as error:
            # Without heartbeats no deadline could be kept.
            raise AnnotateError(
                f"this machine's part of the Ray cluster died: {_first_line(error)}",
                hint="check that it has memory left, then run this again: it goes on where it stopped",
            ) from error
        self._reading = self._receiver.read.remote()
        for submitted in list(self._in_flight.values()):
            if submitted.number in heartbeats:
                submitted.deadline = now + self._deadline_seconds
                yield Working(submitted.unit, heartbeats[submitted.number])

    def cancel(self) -> None:
        """Cancel all units that still run, and wait until they have ended."""
        for ref in self._in_flight:
            self._ray.cancel(ref, force=True)
        if self._in_flight:
            self._ray.wait(list(self._in_flight), num_returns=len(self._in_flight), timeout=START_SECONDS)
        self._in_flight.clear()
        self._ray.kill(self._receiver)


class _HeartbeatReceiver:
    """An actor on the machine of the driver that keeps the last heartbeat of each unit until it is read."""

    def __init__(self) -> None:
        self._heartbeats: dict[int, Heartbeat] = {}

    def send(self, number: int, heartbeat: Heartbeat) -> None:
        self._heartbeats[number] = heartbeat

    def read(self) -> dict[int, Heartbeat]:
        heartbeats, self._heartbeats = self._heartbeats, {}
        return heartbeats


@lru_cache(maxsize=1)
def _receiver(name: str) -> Any:
    """The actor, looked up once per worker: sending its handle with each unit costs more than the rest."""
    import ray

    return ray.get_actor(name)


def _work(fn: Callable[[Any], Any], unit: Any, receiver: str, number: int, version: str) -> tuple[str, Any]:
    """The task: one unit in a worker of the cluster."""
    if version != __version__:
        return "other version", __version__

    def send(heartbeat: Heartbeat) -> None:
        # Sent by a thread of Ray, so it arrives even if the unit hangs from here on.
        _receiver(receiver).send.remote(number, heartbeat)

    with heartbeats_to(send):
        return run_unit(fn, unit)


class _Log:
    """A stream that writes to the log."""

    def write(self, text: str) -> int:
        if text.strip():
            log.debug("%s", text.strip())
        return len(text)

    def flush(self) -> None:
        """Nothing is buffered."""


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
