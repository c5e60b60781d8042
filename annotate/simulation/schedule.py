"""Every strategy with every seed, one after the other or side by side; what is kept is not done again."""

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
from annotate.simulation.cells import FULL, Cells, identity
from annotate.simulation.replay import Point, Run, full
from annotate.simulation.world import Plan, World, require_possible
from annotate.types import Failed, Requirement
from annotate.wording import counted

BASE = "uniform"
"""What every other strategy is compared with."""
BY_QUESTION = " by question"
"""Behind a strategy's name: the run that asks single questions of what it chooses."""
PATIENCE_SECONDS = 86_400.0
"""A round that takes longer than a day hangs."""


class Unit(NamedTuple):
    """One run."""

    name: str
    seed: int


@dataclass(frozen=True, eq=False)
class Runs:
    """What came of a simulation."""

    names: tuple[str, ...]
    """Strategies, uniform first."""
    seeds: tuple[int, ...]
    points: dict[Unit, list[Point]]
    full: dict[int, Point]
    """By seed: with every label there is."""


OpenWorld = Callable[[], World]
"""Makes the world anew in each process; a top-level function, or a partial of one."""


def with_base(names: Sequence[str]) -> tuple[str, ...]:
    """Each once, uniform first."""
    return tuple(dict.fromkeys([BASE, *names]))


def by_question(name: str) -> str:
    """The name of the run with the same strategy that asks single questions."""
    return f"{name}{BY_QUESTION}"


def asks_questions(name: str) -> bool:
    """Whether it is the name of a run that asks single questions."""
    return name.endswith(BY_QUESTION)


def require_strategies(world: World, names: Sequence[str]) -> None:
    """Raise, before anything is trained, for what could only fail later: `UnknownName`, `ConfigError` for
    options, `ModelError` for a strategy that can rank none of the tasks, or for a cold start with a model."""
    if make_strategy(world.cold_start, world.options).needs:
        raise UsageError(f"the cold start {world.cold_start!r} needs a model", hint="set batch.cold_start")
    for name in names:
        opened = make_strategy(name, world.options)
        if Requirement.MODEL in opened.needs and not opened.kinds & world.kinds:
            words = " and ".join(sorted(kind.value for kind in world.kinds))
            raise ModelError(
                f"{name} cannot rank {words}, and nothing else is asked here",
                hint=f"these fit: {', '.join(fitting(world.kinds))}",
            )


def simulate(  # noqa: PLR0913 - one for each thing to know
    world: World, plan: Plan, names: Sequence[str], seeds: Sequence[int], folder: Path, *,
    open_world: OpenWorld | None = None, jobs: int = 1, progress: Progress = SILENT,
    announce: Callable[[Sequence[int]], None] | None = None,
) -> Runs:  # fmt: skip
    """Run everything that the folder does not hold yet. With `jobs` above one, `open_world` makes the world
    in each process. Names may be those of `by_question`: such a run spends as many rater seconds per round as
    whole samples take on average. `announce` is called before anything is trained, with the
    number of labelled samples of each training that is left to do.

    Raises what `require_possible`, `require_strategies` and `Cells` raise, `UsageError` for single questions
    where a sample has one, and `ModelError` when a training fails or a strategy cannot use the model.
    """
    require_possible(world, plan)
    chosen, seeds = with_base(names), tuple(dict.fromkeys(seeds))
    require_strategies(world, [name.removesuffix(BY_QUESTION) for name in chosen])
    if len(world.passes) < 2 and any(map(asks_questions, chosen)):
        raise UsageError(
            f"a sample has one question here, that of {world.passes[0].word}: single ones are whole samples",
            hint="leave out --single-questions, or name more tasks",
        )
    cells = cells_of(world, plan, folder)
    # Seed by seed, so that strategies can be compared from early on, and the first model is trained once.
    units = [Unit(name, seed) for seed in seeds for name in (*chosen, FULL)]
    rounds = len(plan.budgets())
    if announce is not None:
        announce(_trainings_left(cells, plan, units, len(world.pool)))
    with progress.bar("simulate", sum(_rounds(unit, rounds) for unit in units), "") as bar:
        for unit in (Unit(name, seeds[0]) for name in chosen):
            if not cells.read(*unit):
                bar.advance(0, f"{unit.name}, can it choose?")
                rehearse(world, plan, unit)
        if jobs > 1 and open_world is not None:
            _side_by_side(units, partial(_work, open_world, plan, folder), cells, rounds, jobs, bar)
        else:
            for unit in units:
                _one(world, plan, cells, unit, bar)
    kept = {unit: cells.read(*unit) for unit in units}
    return Runs(
        chosen,
        seeds,
        {unit: points for unit, points in kept.items() if unit.name != FULL},
        {unit.seed: points[0] for unit, points in kept.items() if unit.name == FULL},
    )


def _trainings_left(cells: Cells, plan: Plan, units: Sequence[Unit], pool: int) -> list[int]:
    """How many samples are labelled in each training that is left. The start set is learned once per seed."""
    budgets, left, starts = plan.budgets(), list[int](), set[int]()
    for unit in units:
        done = len(cells.read(*unit))
        if unit.name == FULL:
            left += [] if done else [pool]
            continue
        left += budgets[max(done, 1) :]
        if not done:
            starts.add(unit.seed)
    return [*left, *[plan.start] * len(starts)]


def cells_of(world: World, plan: Plan, folder: Path) -> Cells:
    """What the folder keeps of this simulation. Raises as `Cells`."""

    def settings(name: str) -> dict[str, Any]:
        if name == FULL:
            return {}
        return settings_of(make_strategy(name.removesuffix(BY_QUESTION), world.options))

    return Cells(folder, identity(world, plan), settings)


def rehearse(world: World, plan: Plan, unit: Unit) -> None:
    """Let it choose a first batch, which is then forgotten: what a strategy cannot do with this model is told
    before hours were spent on the others. Raises `ModelError` for that."""
    from annotate.learning.threads import one_thread

    with one_thread():
        _run(world, plan, unit).rehearse()


def _rounds(unit: Unit, rounds: int) -> int:
    return 1 if unit.name == FULL else rounds


def _one(world: World, plan: Plan, cells: Cells, unit: Unit, bar: Bar | None = None) -> None:
    """A run to its end, from wherever it was."""
    from annotate.learning.threads import one_thread

    with one_thread():
        _finish(world, plan, cells, unit, bar)


def _finish(world: World, plan: Plan, cells: Cells, unit: Unit, bar: Bar | None) -> None:
    kept = cells.read(*unit)
    note = f"{unit.name}, seed {unit.seed}"
    if bar is not None and kept:
        bar.advance(len(kept), note)
    if unit.name == FULL:
        if not kept:
            cells.write(*unit, [full(world, plan, unit.seed)])
            _tell(bar, note)
        return
    if len(kept) == len(plan.budgets()):
        return
    run = _run(world, plan, unit)
    run.resume(kept)
    for point in run.rounds():
        cells.write(*unit, run.points)
        _tell(bar, f"{note}, {counted(round(point.samples), 'sample')}")


def _run(world: World, plan: Plan, unit: Unit) -> Run:
    name = unit.name.removesuffix(BY_QUESTION)
    return Run(world, plan, name, unit.seed, whole=not asks_questions(unit.name))


def _tell(bar: Bar | None, note: str) -> None:
    if bar is None:
        send_heartbeat()
    else:
        bar.advance(1, note)


_opened: dict[str, Any] = {}
"""Of a worker: its world, and the cells that it writes to."""


def _work(open_world: OpenWorld, plan: Plan, folder: Path, unit: Unit) -> None:
    """One run in a process of its own."""
    if not _opened:
        world = open_world()
        _opened.update(world=world, cells=cells_of(world, plan, folder))
    _one(_opened["world"], plan, _opened["cells"], unit)


def _side_by_side(
    units: Sequence[Unit], work: Callable[[Unit], None], cells: Cells, rounds: int, jobs: int, bar: Bar
) -> None:
    done = dict.fromkeys(units, 0)

    def catch_up(unit: Unit) -> None:
        found = len(cells.read(*unit))
        if found > done[unit]:
            bar.advance(found - done[unit], f"{unit.name}, seed {unit.seed}")
            done[unit] = found

    for unit in units:
        catch_up(unit)
    left = [unit for unit in units if done[unit] < _rounds(unit, rounds)]
    with ProcessExecutor() as executor:
        outcomes = executor.run(work, left, workers=jobs, deadline_seconds=PATIENCE_SECONDS, window=jobs)
        with closing(outcomes):  # type: ignore[type-var]
            for outcome in outcomes:
                if isinstance(outcome, Failed):
                    raise ModelError(
                        f"{outcome.unit.name} with seed {outcome.unit.seed} failed: {_last(outcome.message)}",
                        hint="the same command with --jobs 1 shows where; what is done is kept",
                    )
                catch_up(outcome.unit)


def _last(message: str) -> str:
    return message.strip().splitlines()[-1] if message.strip() else "no reason was given"
