"""Runs every strategy with every seed, in turn or in parallel; stored runs are not repeated."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from annotate.batch.choosing import fitting
from annotate.batch.opening import make_strategy, settings_of
from annotate.errors import ModelError, UsageError
from annotate.executors.heartbeat import send_heartbeat
from annotate.executors.process import ProcessExecutor
from annotate.progress import SILENT, Bar, Progress
from annotate.simulation.replay import CurvePoint, Run, full
from annotate.simulation.replay_data import ReplayData
from annotate.simulation.run_store import FULL, RunStore, identity
from annotate.simulation.schedule import ReplaySchedule, require_possible
from annotate.types import Failed, Requirement
from annotate.wording import counted

BASE = "uniform"
"""The strategy that every other one is compared with."""
BY_QUESTION = " by question"
"""Suffix of the name of a run that asks single questions about the samples that the strategy chooses."""
PATIENCE_SECONDS = 86_400.0
"""A round that takes longer than a day hangs."""


class RunKey(NamedTuple):
    """Names one run."""

    name: str
    seed: int


@dataclass(frozen=True, eq=False)
class Runs:
    """All runs of a simulation."""

    names: tuple[str, ...]
    """Strategies, uniform first."""
    seeds: tuple[int, ...]
    points: dict[RunKey, list[CurvePoint]]
    full: dict[int, CurvePoint]
    """By seed: the point with every label."""


OpenReplayData = Callable[[], ReplayData]
"""Reads the data anew in each process; a top-level function, or a partial of one."""


def with_base(names: Sequence[str]) -> tuple[str, ...]:
    """Each name once, uniform first."""
    return tuple(dict.fromkeys([BASE, *names]))


def by_question(name: str) -> str:
    """The name of the run with the same strategy that asks single questions."""
    return f"{name}{BY_QUESTION}"


def asks_questions(name: str) -> bool:
    """Whether it is the name of a run that asks single questions."""
    return name.endswith(BY_QUESTION)


def require_strategies(data: ReplayData, names: Sequence[str]) -> None:
    """Raise, before anything is trained, for what could only fail later: `UnknownName`, `ConfigError` for
    options, `ModelError` for a strategy that can rank none of the tasks, `UsageError` for a cold start that
    needs a model."""
    if make_strategy(data.cold_start, data.options).needs:
        raise UsageError(f"the cold start {data.cold_start!r} needs a model", hint="set batch.cold_start")
    for name in names:
        opened = make_strategy(name, data.options)
        if Requirement.MODEL in opened.needs and not opened.kinds & data.kinds:
            words = " and ".join(sorted(kind.value for kind in data.kinds))
            raise ModelError(
                f"{name} cannot rank {words}, and nothing else is asked here",
                hint=f"these fit: {', '.join(fitting(data.kinds))}",
            )


def simulate(  # noqa: PLR0913 - each argument is independent of the others
    data: ReplayData, schedule: ReplaySchedule, names: Sequence[str], seeds: Sequence[int], folder: Path, *,
    open_replay_data: OpenReplayData | None = None, jobs: int = 1, progress: Progress = SILENT,
    announce: Callable[[Sequence[int]], None] | None = None,
) -> Runs:  # fmt: skip
    """Run everything that the folder does not contain yet.

    With `jobs` above one, `open_replay_data` reads the data in each process. Names may be those of
    `by_question`: such a run spends as many rater seconds per round as whole samples take on average.
    `announce` is called before anything is trained, with the number of labelled samples of each training that
    remains.

    Raises what `require_possible`, `require_strategies` and `RunStore` raise, `UsageError` for single
    questions where a sample has only one, and `ModelError` when a training fails or a strategy cannot use the
    model.
    """
    require_possible(data, schedule)
    chosen, seeds = with_base(names), tuple(dict.fromkeys(seeds))
    require_strategies(data, [name.removesuffix(BY_QUESTION) for name in chosen])
    if len(data.passes) < 2 and any(map(asks_questions, chosen)):
        raise UsageError(
            f"a sample has one question here, that of {data.passes[0].word}: single ones are whole samples",
            hint="leave out --single-questions, or name more tasks",
        )
    store = open_run_store(data, schedule, folder)
    # Seed by seed, so that strategies can be compared from early on, and the first model is trained once.
    keys = [RunKey(name, seed) for seed in seeds for name in (*chosen, FULL)]
    rounds = len(schedule.budgets())
    if announce is not None:
        announce(_trainings_left(store, schedule, keys, len(data.pool)))
    with progress.bar("simulate", sum(_rounds(key, rounds) for key in keys), "") as bar:
        for key in (RunKey(name, seeds[0]) for name in chosen):
            if not store.read(*key):
                bar.advance(0, f"{key.name}, can it choose?")
                rehearse(data, schedule, key)
        if jobs > 1 and open_replay_data is not None:
            _run_parallel(
                keys, partial(_run_in_worker, open_replay_data, schedule, folder), store, rounds, jobs, bar
            )
        else:
            for key in keys:
                _finish(data, schedule, store, key, bar)
    points = {key: store.read(*key) for key in keys}
    return Runs(
        chosen,
        seeds,
        {key: run for key, run in points.items() if key.name != FULL},
        {key.seed: run[0] for key, run in points.items() if key.name == FULL},
    )


def _trainings_left(
    store: RunStore, schedule: ReplaySchedule, keys: Sequence[RunKey], pool: int
) -> list[int]:
    """The number of labelled samples of each training that remains; that of a start set is shared."""
    budgets, left, starts = schedule.budgets(), list[int](), set[int]()
    for key in keys:
        done = len(store.read(*key))
        if key.name == FULL:
            left += [] if done else [pool]
            continue
        left += budgets[max(done, 1) :]
        if not done:
            starts.add(key.seed)
    return [*left, *[schedule.start] * len(starts)]


def open_run_store(data: ReplayData, schedule: ReplaySchedule, folder: Path) -> RunStore:
    """The store of this simulation in a folder. Raises what `RunStore` raises."""

    def settings(name: str) -> dict[str, Any]:
        if name == FULL:
            return {}
        return settings_of(make_strategy(name.removesuffix(BY_QUESTION), data.options))

    return RunStore(folder, identity(data, schedule), settings)


def rehearse(data: ReplayData, schedule: ReplaySchedule, key: RunKey) -> None:
    """Let a strategy choose a first batch, which is then forgotten.

    So a strategy that cannot use this model is reported before hours are spent on the others. Raises
    `ModelError` for it.
    """
    from annotate.learning.threads import one_thread

    with one_thread():
        _new_run(data, schedule, key).rehearse()


def _new_run(data: ReplayData, schedule: ReplaySchedule, key: RunKey) -> Run:
    name = key.name.removesuffix(BY_QUESTION)
    return Run(data, schedule, name, key.seed, whole=not asks_questions(key.name))


def _rounds(key: RunKey, rounds: int) -> int:
    return 1 if key.name == FULL else rounds


def _finish(
    data: ReplayData, schedule: ReplaySchedule, store: RunStore, key: RunKey, bar: Bar | None = None
) -> None:
    """Continue a run to its end; without a bar, every round sends a heartbeat."""
    from annotate.learning.threads import one_thread

    label, stored = f"{key.name}, seed {key.seed}", store.read(*key)

    def report(note: str) -> None:
        if bar is None:
            send_heartbeat()
        else:
            bar.advance(1, note)

    if bar is not None and stored:
        bar.advance(len(stored), label)
    with one_thread():
        if key.name == FULL and not stored:
            store.write(*key, [full(data, schedule, key.seed)])
            report(label)
        if key.name == FULL or len(stored) == len(schedule.budgets()):
            return
        run = _new_run(data, schedule, key)
        run.resume(stored)
        for point in run.rounds():
            store.write(*key, run.points)
            report(f"{label}, {counted(round(point.samples), 'sample')}")


_worker: dict[str, Any] = {}
"""Data and store of a worker process, opened by its first run."""


def _run_in_worker(
    open_replay_data: OpenReplayData, schedule: ReplaySchedule, folder: Path, key: RunKey
) -> None:
    if not _worker:
        data = open_replay_data()
        _worker.update(data=data, store=open_run_store(data, schedule, folder))
    _finish(_worker["data"], schedule, _worker["store"], key)


def _run_parallel(
    keys: Sequence[RunKey], work: Callable[[RunKey], None], store: RunStore, rounds: int, jobs: int, bar: Bar
) -> None:
    done = dict.fromkeys(keys, 0)

    def catch_up(key: RunKey) -> None:
        points = len(store.read(*key))
        if points > done[key]:
            bar.advance(points - done[key], f"{key.name}, seed {key.seed}")
            done[key] = points

    for key in keys:
        catch_up(key)
    left = [key for key in keys if done[key] < _rounds(key, rounds)]
    with ProcessExecutor() as executor:
        outcomes = executor.run(work, left, workers=jobs, deadline_seconds=PATIENCE_SECONDS, window=jobs)
        with closing(outcomes):  # type: ignore[type-var]
            for outcome in outcomes:
                if isinstance(outcome, Failed):
                    lines = outcome.message.strip().splitlines() or ["no reason was given"]
                    raise ModelError(
                        f"{outcome.unit.name} with seed {outcome.unit.seed} failed: {lines[-1]}",
                        hint="the same command with --jobs 1 shows where; what is done is kept",
                    )
                catch_up(outcome.unit)
