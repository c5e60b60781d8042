"""Tasks of a Ray cluster: many machines, or one that is started here for as long as a run takes.

Plain tasks (https://docs.ray.io/en/latest/ray-core/tasks.html), one per unit, which Ray never tries again by
itself: how often a unit may take its worker down is counted where its outcomes are committed.
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
from annotate.executors._alive import ONE_THREAD, START_SECONDS, answer, telling
from annotate.executors.process import processors
from annotate.registry import executor
from annotate.types import Failed, Failure, Finished, R, Sign, U, Working

log = logging.getLogger("annotate.ray")

LOOK_SECONDS = 0.5
"""How often signs of life are looked for."""

OBJECT_STORE_BYTES = 100 << 20
"""Of a cluster that is started here: units and outcomes are small, and clips never pass through Ray."""

QUIET: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""No report to its makers; tasks without a GPU keep the environment they were given."""

HERE: Mapping[str, str] = {
    # Ray takes 127.0.0.1 for "any address of this machine" unless it is told that there is but one machine.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    # What a unit has started is killed with its worker.
    "RAY_process_group_cleanup_enabled": "1",
}
"""For a cluster that is started here: reached from this machine only, and only with our token."""

INSTALL = "pip install 'annotate-clips[ray]' on every machine of the cluster"


@executor("ray")
class RayExecutor:
    """Runs units as tasks of a Ray cluster, on many machines."""

    def __init__(self, *, address: str = "") -> None:
        """`address` is ``host:port`` of a cluster that this machine is part of; empty starts one here.

        Raises `AnnotateError` when Ray is not installed.
        """
        if find_spec("ray") is None:
            raise AnnotateError("the executor `ray` needs the package ray", hint=INSTALL)
        self._address = address
        self._ray: Any = None
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray = None
        self._ends.close()

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
        crew: _Crew[U, R] | None = None
        ahead: deque[U] = deque()
        source = iter(units)
        drained = False
        try:
            while True:
                if crew is None and ahead:
                    crew = _Crew(self._join(workers), fn, deadline_seconds)
                while crew is not None and ahead and len(crew) < workers:
                    crew.give(ahead.popleft())
                if not drained and len(ahead) < window:
                    drained = not _draw(source, ahead)
                    patience = 0.0
                elif crew:
                    patience = LOOK_SECONDS
                else:
                    return
                if crew:
                    yield from crew.news(patience)
        finally:
            if crew is not None:
                crew.dismiss()

    def _join(self, workers: int) -> Any:
        """Ray, connected; a program that is connected already stays so when we leave."""
        if self._ray is not None:
            return self._ray
        os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
        if not self._address:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            os.environ.update({name: value for name, value in HERE.items() if name not in os.environ})
        import ray

        if not ray.is_initialized():
            self._connect(ray, workers)
        self._ray = ray
        return ray

    def _connect(self, ray: Any, workers: int) -> None:
        began = time.monotonic()
        # Ray prints what it thinks of lost workers on stdout, where only the report belongs.
        self._ends.enter_context(contextlib.redirect_stdout(_Log()))
        try:
            if self._address:
                ray.init(address=self._address, **_COMMON)
            else:
                self._start(ray, workers)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            self._ends.close()
            raise AnnotateError(
                f"no Ray cluster answers at {self._address or 'this machine'}: {_first_line(error)}",
                hint="this machine has to be part of the cluster: `ray start --address=HOST:PORT`; if the "
                "cluster has a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN here too",
            ) from error
        self._ends.callback(ray.shutdown)
        log.info("Ray was ready after %.1f s", time.monotonic() - began)

    def _start(self, ray: Any, workers: int) -> None:
        # Below /tmp wherever the system would rather have it: the names of its sockets must stay short.
        folder = tempfile.mkdtemp(prefix="annotate-ray-", dir="/tmp")
        self._ends.callback(shutil.rmtree, folder, ignore_errors=True)
        # Never look for a cluster: the address that an earlier run left in a file may be of a dead one.
        ray.init(
            address="local", num_cpus=workers, num_gpus=0, include_dashboard=False, _temp_dir=folder,
            object_store_memory=OBJECT_STORE_BYTES, _node_ip_address="127.0.0.1", **_COMMON,
        )  # fmt: skip


_COMMON: Mapping[str, Any] = {
    "log_to_driver": False,
    "configure_logging": False,
    "runtime_env": {"env_vars": dict(ONE_THREAD)},
}


@dataclass(slots=True)
class _Flight(Generic[U]):
    """A unit that Ray has."""

    number: int
    unit: U
    deadline: float = math.inf
    """Counts from its first sign of life: until then it may wait for a free processor."""


class _Crew(Generic[U, R]):
    """The units that Ray has now, and the actor that their signs of life go to."""

    def __init__(self, ray: Any, fn: Callable[[U], R], deadline_seconds: float) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray = ray
        self._fn = fn
        self._deadline_seconds = deadline_seconds
        self._flights: dict[Any, _Flight[U]] = {}
        self._count = 0
        self._task = ray.remote(_work).options(num_cpus=1, max_retries=0)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._name = f"annotate-{secrets.token_hex(8)}"
        options = {"num_cpus": 0, "scheduling_strategy": here, "name": self._name}
        self._desk = ray.remote(_Desk).options(**options).remote()
        self._reading = self._desk.read.remote()
        self._looked = time.monotonic()

    def __len__(self) -> int:
        return len(self._flights)

    def give(self, unit: U) -> None:
        """Hand a unit to Ray."""
        self._count += 1
        ref = self._task.remote(self._fn, unit, self._name, self._count, __version__)
        self._flights[ref] = _Flight(self._count, unit)

    def news(self, patience: float) -> Iterator[Working[U] | Finished[U, R] | Failed[U]]:
        """What happened within `patience` seconds, or until the first outcome."""
        ready, _ = self._ray.wait(list(self._flights), num_returns=1, timeout=patience)
        for ref in ready:
            yield self._outcome(ref, self._flights.pop(ref).unit)
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            yield from self._signs(now)
            yield from self._late(now)

    def _outcome(self, ref: Any, unit: U) -> Finished[U, R] | Failed[U]:
        lost = self._ray.exceptions
        try:
            kind, value = self._ray.get(ref)
        except (
            lost.WorkerCrashedError,
            lost.NodeDiedError,
            lost.OutOfMemoryError,
            lost.ObjectLostError,
        ) as error:
            return Failed(unit, Failure.DIED, f"its process ended before it was done: {_first_line(error)}")
        except lost.RayError as error:
            raise AnnotateError(
                f"a machine of the Ray cluster cannot run this program: {_last_line(error)}", hint=INSTALL
            ) from error
        if kind == "other version":
            raise AnnotateError(
                f"a machine of the Ray cluster has version {value} of this program, this one {__version__}",
                hint="install the same version on all of them",
            )
        return Finished(unit, value) if kind == "done" else Failed(unit, Failure.ERROR, value)

    def _signs(self, now: float) -> Iterator[Working[U]]:
        """What workers told since we last looked."""
        if not self._ray.wait([self._reading], timeout=0)[0]:
            return
        try:
            signs: Mapping[int, Sign] = self._ray.get(self._reading)
        except self._ray.exceptions.RayError as error:
            # Without signs of life no deadline would ever be kept.
            raise AnnotateError(
                f"this machine's part of the Ray cluster died: {_first_line(error)}",
                hint="see that it has memory left, then run this again: it goes on where it stopped",
            ) from error
        self._reading = self._desk.read.remote()
        for flight in list(self._flights.values()):
            if flight.number in signs:
                flight.deadline = now + self._deadline_seconds
                yield Working(flight.unit, signs[flight.number])

    def _late(self, now: float) -> Iterator[Failed[U]]:
        for ref, flight in list(self._flights.items()):
            if now >= flight.deadline and not self._ray.wait([ref], timeout=0)[0]:
                del self._flights[ref]
                self._ray.cancel(ref, force=True)
                message = f"got nowhere for {self._deadline_seconds:g} s and was stopped"
                yield Failed(flight.unit, Failure.TIMEOUT, message)

    def dismiss(self) -> None:
        """Stop whatever still runs, and wait until it has ended."""
        for ref in self._flights:
            self._ray.cancel(ref, force=True)
        if self._flights:
            self._ray.wait(list(self._flights), num_returns=len(self._flights), timeout=START_SECONDS)
        self._flights.clear()
        self._ray.kill(self._desk)


class _Desk:
    """An actor beside the driver, where signs of life wait to be read."""

    def __init__(self) -> None:
        self._signs: dict[int, Sign] = {}

    def tell(self, number: int, sign: Sign) -> None:
        self._signs[number] = sign

    def read(self) -> dict[int, Sign]:
        signs, self._signs = self._signs, {}
        return signs


@lru_cache(maxsize=1)
def _desk(name: str) -> Any:
    """Looked up once per worker: a handle that travels with each unit costs more than all the rest."""
    import ray

    return ray.get_actor(name)


def _work(fn: Callable[[Any], Any], unit: Any, desk: str, number: int, version: str) -> tuple[str, Any]:
    """The task: one unit in a worker of the cluster."""
    if version != __version__:
        return "other version", __version__

    def tell(sign: Sign) -> None:
        # Sent by a thread of Ray's own, so it arrives even if the unit hangs from here on.
        _desk(desk).tell.remote(number, sign)

    with telling(tell):
        return answer(fn, unit)


def _draw(source: Iterator[U], ahead: deque[U]) -> bool:
    """Put the next unit in line; False when there is none."""
    for unit in source:
        ahead.append(unit)
        return True
    return False


class _Log:
    """Takes what is printed for the log."""

    def write(self, text: str) -> int:
        if text.strip():
            log.debug("%s", text.strip())
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _last_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
