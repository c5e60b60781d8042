"""An executor for tests of what ingest does with outcomes: most stand-ins for videos need no process."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from annotate.executors.heartbeat import run_unit
from annotate.executors.process import ProcessExecutor
from annotate.types import Failed, Failure, Finished, Heartbeat, Working


def within_this_process(harmless: Callable[[Any, Any], bool]) -> type[ProcessExecutor]:
    """The executor `process`, but for units of which ``harmless(fn, unit)`` holds: they run in this process.

    Starting a worker takes longer than most tests do otherwise.
    """

    class WithinThisProcess(ProcessExecutor):
        def run(self, fn: Any, units: Iterable[Any], **options: Any) -> Iterator[Any]:
            for unit in units:
                if not harmless(fn, unit):
                    yield from super().run(fn, [unit], **options)
                    continue
                yield Working(unit, Heartbeat())
                kind, value = run_unit(fn, unit)
                yield Finished(unit, value) if kind == "done" else Failed(unit, Failure.ERROR, value)

    return WithinThisProcess
