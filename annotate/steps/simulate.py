"""Replay the loop on a labelled project, and report which query strategies would have saved work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from annotate.batch.opening import make_strategy
from annotate.errors import UsageError
from annotate.learning.metrics import MEASURES, Scores
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.rounds.expected_time import Expected, fewest_epochs, pace_of
from annotate.rounds.settings import seed_of
from annotate.simulation.curves import Curves
from annotate.simulation.expected import short_training
from annotate.simulation.from_project import open_replay_data, read_replay_data
from annotate.simulation.outcome import Outcome, outcome
from annotate.simulation.replay_data import ReplayData
from annotate.simulation.run_store import identity, name_of
from annotate.simulation.runner import RunKey, by_question
from annotate.simulation.runner import simulate as replay
from annotate.simulation.schedule import ReplaySchedule
from annotate.wording import counted, either

FOLDER = "simulations"
"""The default of `--out`, within the project."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SimulateReport:
    """The learning curve of each strategy on the test samples, in points (100 times the score)."""

    basis: str
    strategies: list[Row]
    """``strategy``; ``area``: mean height of its learning curve, with the interval ``low`` to ``high``;
    ``gain`` over uniform, ``from`` and ``to``; ``normalised``: that gain over what there is to gain; ``p``;
    ``labels_95``: labels to 95 % of the score with all labels, and ``saved_95``, a share; ``last`` score."""
    verdict: list[str]
    page: Path
    picture: Path
    points: Path
    """CSV with every figure of every round."""
    warnings: list[str]
    next: str
    expected_seconds: dict[str, float]
    """Estimated training time before it began, ``least`` and ``most``; see `Expected`."""
    full: float = field(metadata={"json_only": True})
    """Points with every label."""
    reach: Mapping[str, Mapping[str, list[Row]]] = field(metadata={"json_only": True})
    """By share of the full score, by ``labels`` and ``seconds``: the cost by strategy; null: not reached."""
    duels: list[Row] = field(metadata={"json_only": True})
    batches: Mapping[str, Mapping[str, float | None]] = field(metadata={"json_only": True})
    curves: Mapping[str, list[Row]] = field(metadata={"json_only": True})
    """By strategy: the mean over the seeds after each round."""
    last_scores: Mapping[str, Mapping[str, Scores]] = field(metadata={"json_only": True})
    """By strategy, by task: scores at the end, with the first seed."""


def simulate(  # noqa: PLR0913 - one for each option
    project: Project,
    *,
    strategies: str,
    seeds: int = 5,
    start: int = 20,
    step: int = 20,
    until: int = 200,
    tasks: str | None = None,
    members: int | None = None,
    votes: bool = False,
    single_questions: bool = False,
    jobs: int = 1,
    out: Path | None = None,
    device: str | None = None,
    seed: int | None = None,
    progress: Progress = SILENT,
) -> SimulateReport:
    """Replay the loop with each of the strategies and seeds; runs that the folder contains are not repeated.

    With `single_questions` each strategy is replayed once more, asking the questions about its samples with
    the highest expected gain per second. Raises `UsageError` for impossible options, and for a folder of
    another simulation; `UnknownName` for a strategy, `ConfigError` for its options, `ModelError` for one that
    can rank none of the tasks or when training fails, `NothingToDo` without samples that have every label, or
    without test labels; `FeatureError` when features are missing.
    """
    from annotate.learning.device import choose_device

    schedule = ReplaySchedule(start, step, until)
    names = [name.strip() for name in strategies.split(",") if name.strip()]
    if not names:
        raise UsageError("no strategy is named", hint="--strategies entropy,k-center")
    for name in names:  # before anything is read, so that a mistyped name fails at once
        make_strategy(name, project.settings.batch.options)
    wanted = tuple(t.strip() for t in (tasks or "").split(",") if t.strip())
    if tasks is not None and not wanted:
        raise UsageError("no task is named", hint="--tasks sentiment.T,sentiment.M, or leave it out")
    if single_questions:
        names += [by_question(name) for name in names]
    options: dict[str, Any] = {
        "tasks": wanted,
        "members": members,
        "device": choose_device(device or project.settings.train.device),
        "votes": votes,
    }
    data = read_replay_data(project, **options)
    folder = out or project.root / FOLDER / name_of(identity(data, schedule))
    first = seed_of(project, seed)
    announced: list[Expected] = []

    def announce(trainings: Sequence[int]) -> None:
        announced.append(_expected(data, schedule, trainings, jobs))
        progress.say(announced[-1].sentence())

    runs = replay(
        data, schedule, names, range(first, first + seeds), folder,
        open_replay_data=partial(open_replay_data, project.root, **options), jobs=jobs, progress=progress,
        announce=announce,
    )  # fmt: skip
    from annotate.report.simulation import write_report

    result, basis = outcome(runs), _basis(data, schedule, runs.seeds)
    title = f"{project.settings.project.name}: which strategy would have saved work"
    paths = write_report(result, folder, title=title, basis=basis)
    return _report(result, basis, paths, data, announced[0])


def _expected(data: ReplayData, schedule: ReplaySchedule, trainings: Sequence[int], jobs: int) -> Expected:
    """Estimated from short trainings on the smallest and the largest set, and interpolated between them."""
    if not trainings:
        return Expected(0, 0.0, 0.0)
    ends = sorted({min(trainings), max(trainings)})
    paces = [pace_of(partial(short_training, data, schedule, samples)) for samples in ends]

    def seconds(epochs: int) -> float:
        each = np.interp(list(trainings), ends, [pace.of(epochs) for pace in paces])
        return float(each.sum()) / min(jobs, len(trainings))

    config = data.config
    least = seconds(fewest_epochs(config.epochs, config.patience))
    return Expected(len(trainings), least, seconds(config.epochs))


def _basis(data: ReplayData, schedule: ReplaySchedule, seeds: Sequence[int]) -> str:
    tasks = ", ".join(task.id for task in data.tasks)
    return (
        f"{counted(len(data.pool), 'train sample')} that "
        f"{either(len(data.pool), 'has', 'have')} all labels of {tasks}; {schedule.start} drawn uniformly, "
        f"then {schedule.step} at a time until {schedule.until}, seeds {len(seeds)}, "
        f"members {data.config.members}; for every 5 of them one validation sample serves early stopping, "
        "the same for all; scored on "
        f"{counted(len(data.test), 'test sample')}"
    )


def _report(
    result: Outcome, basis: str, paths: Mapping[str, Path], data: ReplayData, expected: Expected
) -> SimulateReport:
    return SimulateReport(
        basis=basis,
        strategies=[_row(result, name) for name in result.runs.names],
        verdict=list(result.verdict),
        page=paths["page"],
        picture=paths["picture"],
        points=paths["points"],
        warnings=_warnings(result, data),
        next=f"open {paths['page']}",
        expected_seconds=expected.seconds(),
        full=_points(float(result.full.mean())),
        reach={
            f"{100 * share:.0f} %": {
                unit: [
                    {
                        "strategy": name,
                        "needed": reach.needed,
                        "low": reach.low,
                        "high": reach.high,
                        "saved": reach.saved,
                        "saved_from": reach.saved_low,
                        "saved_to": reach.saved_high,
                        "at_least": reach.at_least,
                    }
                    for name, reach in by_name.items()
                ]
                for unit, by_name in units.items()
            }
            for share, units in result.reach.items()
        },
        duels=[dict(row) for row in result.duels],
        batches=result.batches,
        curves={name: _mean_curve(curves) for name, curves in result.curves.items()},
        last_scores={
            name: result.runs.points[RunKey(name, result.runs.seeds[0])][-1].scores
            for name in result.runs.names
        },
    )


def _row(result: Outcome, name: str) -> Row:
    s, reach = result.results[name], result.reach[0.95]["labels"][name]
    return {
        "strategy": name,
        "area": _points(s.area), "low": _points(s.area_low), "high": _points(s.area_high),
        "gain": _points(s.gain), "from": _points(s.gain_low), "to": _points(s.gain_high),
        "normalised": None if s.normalised is None else round(s.normalised, 3),
        "p": s.p,
        "labels_95": "not reached" if reach.needed is None else round(reach.needed),
        "saved_95": None if reach.saved is None else round(reach.saved, 3),
        "last": _points(s.last),
        "select_seconds": round(s.select_seconds, 4),
        "select_mb": None if s.select_bytes is None else round(s.select_bytes / 1e6, 1),
    }  # fmt: skip


def _mean_curve(curves: Curves) -> list[Row]:
    columns = (curves.samples, curves.labels, curves.seconds, 100 * curves.score)
    means = zip(*(column.mean(axis=0).tolist() for column in columns), strict=True)
    return [dict(zip(("samples", "labels", "seconds", "points"), row, strict=True)) for row in means]


def _warnings(result: Outcome, data: ReplayData) -> list[str]:
    notes = {note for run in result.runs.points.values() for point in run for note in point.notes}
    warnings = sorted(notes)
    for task in data.tasks:
        count = sum((i, task.id) in data.labels for i in data.test)
        if count < 30:
            measure = MEASURES[task.dimension.kind]
            warnings.append(f"{task.id} has {counted(count, 'test label')}: its {measure} says little")
    return warnings


def _points(value: float) -> float:
    return round(100 * value, 2)
