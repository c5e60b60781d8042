"""Ways to train, compared fairly: the same grouped folds and seeds for all, and what chance may have done.

Scores are in points (100 times the score): of a regression task Pearson's r, of a classification task the
share that is right, of a multilabel task F1 of all ticks together. Every figure is taken from samples whose
group the model did not see. Chance is measured by drawing groups with replacement (Efron 1979; whole groups,
because the samples of one speaker are no independent witnesses), the same draws for everybody, so that what
is hard for all of them leaves their differences alone.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.durable import write_whole
from annotate.errors import ModelError
from annotate.learning.enough import FEWEST_VALID, lacking, learned
from annotate.learning.folds import grouped_folds
from annotate.types import Kind, Label, Task
from annotate.wording import counted, either

if TYPE_CHECKING:
    from annotate.learning.prepared import TrainingSet
    from annotate.learning.recipe import Recipe
    from annotate.progress import Progress

DRAWS = 2000
"""Of the bootstrap."""
LEVEL = 0.95
FEW_GROUPS = 5
"""Groups below which an interval cannot be trusted: so few can hardly be drawn in different ways."""
FEW_SAMPLES = 30
"""Labelled samples below which there is no verdict. With 30, chance moves a share that is right by 18 points
(half the width of its 95 % interval at one half) and a correlation near zero by 36; ways to train differ by a
few points."""
VALID_SHARE = 0.2
"""Of the samples of a fold's training part, in whole groups: they tell when to stop."""

Array = NDArray[np.float64]
Answers = Mapping[str, Array]
"""By task id, of the held-out samples in their order: (n,) values on the scale or indices of classes; of a
multilabel task (n, answers) 1.0 where ticked. A task that was not learned is absent."""


# --- who is trained on what ---


@dataclass(frozen=True, slots=True)
class Trial:
    """One fold with one seed: ids of samples, sorted; no group is in two of the three parts."""

    seed: int
    fold: int
    train: tuple[str, ...]
    valid: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """What one way of training said in one trial."""

    answers: Answers
    parameters: int
    """Of all members together."""
    seconds: float


Fit = Callable[[Trial], Cell]
"""A way of training."""


@dataclass(frozen=True, eq=False)
class Exam:
    """n labelled samples that ways of training are compared on."""

    tasks: tuple[Task, ...]
    ids: tuple[str, ...]
    groups: NDArray[np.str_]
    """(n,) the samples of one name are never divided."""
    labels: Mapping[tuple[str, str], Label]
    """By (sample id, task id); many may be missing."""

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return len(np.unique(self.groups))

    @property
    def too_few(self) -> str:
        """Why there can be no verdict: too few samples or groups; empty where there are enough."""
        for count, least, noun in (
            (len(self.ids), FEW_SAMPLES, "sample"),
            (self.group_count, FEW_GROUPS, "group"),
        ):
            if count < least:
                return (
                    f"{counted(count, noun)} {either(count, 'is', 'are')} too few for a verdict: "
                    f"{least} or more are needed"
                )
        return ""

    def few_labels(self, task: Task) -> bool:
        """Whether a task alone has too few labels for a verdict."""
        return len(self.labels_of(task, self.ids)) < FEW_SAMPLES

    def trials(self, folds: int, seeds: Sequence[int]) -> list[Trial]:
        """`folds` of them for each seed, which decides the folds; fewer where there are fewer groups.

        Raises `ModelError` when all samples are of one group.
        """
        count = self.group_count
        if count < 2:
            raise ModelError(
                "all labelled samples hang together in one group, so nothing can be held out",
                hint="label samples of another speaker; `[splits] together` says what makes a group",
            )
        return [trial for seed in seeds for trial in self._trials(min(folds, count), seed)]

    def _trials(self, folds: int, seed: int) -> list[Trial]:
        rng = np.random.default_rng(seed)
        found = []
        for fold, held_out in enumerate(grouped_folds(self.groups, folds, rng)):
            rest = np.setdiff1d(np.arange(len(self.ids)), held_out)
            valid = rest[_share(self.groups[rest], VALID_SHARE, rng)]
            parts = (np.setdiff1d(rest, valid), valid, held_out)
            found.append(Trial(seed, fold, *(tuple(sorted(self.ids[i] for i in p)) for p in parts)))
        return found

    def labels_of(self, task: Task, ids: Sequence[str]) -> list[Label]:
        """Those of one task, in the order of `ids`."""
        return [self.labels[i, task.id] for i in ids if (i, task.id) in self.labels]

    def learnable(self, trial: Trial) -> tuple[Task, ...]:
        """The tasks that the training part of a trial has enough labels of."""
        return tuple(t for t in self.tasks if not lacking(t, self.labels_of(t, trial.train)))

    def draws(self, rng: np.random.Generator, count: int = DRAWS) -> Array:
        """(count, groups) how often each group is drawn, groups in sorted order."""
        groups = self.group_count
        return rng.multinomial(groups, np.full(groups, 1 / groups), size=count).astype(np.float64)

    def figures(self, trials: Sequence[Trial], cells: Sequence[Cell], draws: Array) -> dict[str, "Figure"]:
        """By id of each task that was answered: its score, the mean over the seeds; cells as the trials."""
        return {
            task.id: mean([_figure(self, task, pairs, draws) for pairs in _by_seed(trials, cells)])
            for task in self.tasks
            if any(task.id in cell.answers for cell in cells)
        }


def _share(groups: NDArray[np.str_], share: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """Indices of whole groups, about `share` of all; none when that would be far too many, or
    so few that they tell nothing."""
    _, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    most, taken, chosen = 1.5 * share * len(groups), 0, []
    for group in rng.permutation(len(sizes)):
        if taken < share * len(groups) and taken + sizes[group] <= most:
            chosen.append(group)
            taken += sizes[group]
    return np.flatnonzero(np.isin(which, chosen)) if taken >= FEWEST_VALID else np.zeros(0, np.intp)


# --- how good an answer is, and by chance ---


@dataclass(frozen=True, eq=False)
class Figure:
    """A number in points, and what it is in each draw of the bootstrap."""

    value: float
    draws: Array
    """(draws,)"""

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The percentile interval."""
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def __sub__(self, other: "Figure") -> "Figure":
        """The paired difference; both were made with the same draws."""
        return Figure(self.value - other.value, self.draws - other.draws)


def mean(figures: Sequence[Figure]) -> Figure:
    """Draw by draw; over tasks and seeds of one exam, or over exams that were drawn apart."""
    return Figure(
        float(np.mean([f.value for f in figures])), np.mean([figure.draws for figure in figures], axis=0)
    )


Pairs = Sequence[tuple[Trial, Cell]]


def _by_seed(trials: Sequence[Trial], cells: Sequence[Cell]) -> list[Pairs]:
    pairs = list(zip(trials, cells, strict=True))
    return [[p for p in pairs if p[0].seed == seed] for seed in dict.fromkeys(t.seed for t in trials)]


def _figure(exam: Exam, task: Task, pairs: Pairs, draws: Array) -> Figure:
    """Of the trials of one seed."""
    names, group = np.unique(exam.groups, return_inverse=True)
    group_of = dict(zip(exam.ids, group.tolist(), strict=True))
    drawn = np.vstack([np.ones(len(names)), draws])
    kind = task.dimension.kind
    sums = []
    for trial, cell in pairs:
        said, truth, ids = _held_out(exam, task, trial, cell)
        if ids:
            tallies = _TALLIES[kind](said, truth)
            of = np.array([group_of[i] for i in ids])
            here = np.unique(of)
            summed = np.stack([tallies[of == g].sum(axis=0) for g in here])
            sums.append(drawn[:, here] @ summed)
    found = 100 * _SCORES[kind](np.stack(sums, axis=1))
    return Figure(float(found[0]), found[1:])


def _held_out(exam: Exam, task: Task, trial: Trial, cell: Cell) -> tuple[Array, Array, list[str]]:
    """Answers, truths and ids of the held-out samples with a label."""
    if task.id not in cell.answers:
        return np.zeros(0), np.zeros(0), []
    rows = [k for k, i in enumerate(trial.held_out) if (i, task.id) in exam.labels]
    ids = [trial.held_out[k] for k in rows]
    return np.asarray(cell.answers[task.id])[rows], truths(task, exam.labels_of(task, ids)), ids


def other_scores(exam: Exam, trials: Sequence[Trial], cells: Sequence[Cell]) -> dict[str, dict[str, float]]:
    """By task id: every score that the task's kind has, over the held-out samples of all trials together."""
    from annotate.learning.metrics import scores

    found = {}
    for task in exam.tasks:
        parts = [_held_out(exam, task, trial, cell) for trial, cell in zip(trials, cells, strict=True)]
        parts = [part for part in parts if part[2]]
        if parts:
            said, truth = (np.concatenate([part[i] for part in parts]).astype(np.float32) for i in (0, 1))
            if task.dimension.kind is Kind.MULTILABEL:
                found[task.id] = scores(task, said.astype(bool), truth.astype(bool))
            else:
                found[task.id] = scores(task, said, truth)
    return found


def truths(task: Task, labels: Sequence[Label]) -> Array:
    """(n,) or (n, answers): labels in the form of `Answers`."""
    dimension = task.dimension
    if dimension.kind is Kind.REGRESSION:
        return np.array([float(label.value) for label in labels])
    if dimension.kind is Kind.CLASSIFICATION:
        position = {answer.value: i for i, answer in enumerate(dimension.answers)}
        return np.array([float(position[label.value]) for label in labels])
    ticked = [set(dimension.ticked(str(label.value))) for label in labels]
    rows = [[float(a.alias in ticks) for a in dimension.answers] for ticks in ticked]
    return np.array(rows).reshape(len(labels), len(dimension.answers))


def _moments(said: Array, truth: Array) -> Array:
    """(n, 6) of samples of one fold, both sides centred: so large an offset costs no digit."""
    x, y = said - said.mean(), truth - truth.mean()
    return np.column_stack([np.ones(len(x)), x, y, x * x, y * y, x * y])


def _correlation(sums: Array) -> Array:
    """(draws, folds, 6) -> (draws,): r within folds, zero where one side is constant.

    Between folds nothing is compared: each has a model of its own, and one that says the mean of its train
    labels would seem to be worse than nothing, because that mean is high where the held-out one is low.
    """
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    n = np.maximum(n, 1)
    spread_x, spread_y = (xx - x * x / n).sum(axis=1), (yy - y * y / n).sum(axis=1)
    product = np.maximum(spread_x, 0) * np.maximum(spread_y, 0)
    shared = (xy - x * y / n).sum(axis=1)
    return np.where(product > 1e-18, shared / np.sqrt(np.maximum(product, 1e-18)), 0.0)


def _hits(said: Array, truth: Array) -> Array:
    """(n, 2): right or not, and one."""
    return np.column_stack([said == truth, np.ones(len(truth))]).astype(np.float64)


def _ticks(said: Array, truth: Array) -> Array:
    """(n, 2): twice the ticks that both sides have, and all ticks of both."""
    return np.column_stack([2 * (said * truth).sum(axis=1), (said + truth).sum(axis=1)])


def _ratio(sums: Array) -> Array:
    """(draws, folds, 2) -> (draws,)"""
    over, under = np.moveaxis(sums.sum(axis=1), -1, 0)
    return over / np.maximum(under, 1e-12)


_TALLIES = {Kind.REGRESSION: _moments, Kind.CLASSIFICATION: _hits, Kind.MULTILABEL: _ticks}
_SCORES = {Kind.REGRESSION: _correlation, Kind.CLASSIFICATION: _ratio, Kind.MULTILABEL: _ratio}


# --- what follows from it ---


class Verdict(StrEnum):
    """Of a paired difference."""

    BETTER = "better"
    LEVEL = "level"
    WORSE = "worse"


def judge(difference: Figure, level: float = LEVEL) -> Verdict:
    """Level when the interval holds zero."""
    low, high = difference.interval(level)
    if low > 0:
        return Verdict.BETTER
    return Verdict.WORSE if high < 0 else Verdict.LEVEL


def level_of_one(among: int) -> float:
    """The level for each of several looks, so that all together err no more often than `LEVEL` allows
    (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(among, 1)


def choose(pooled: Mapping[str, Figure], parameters: Mapping[str, int], present: str) -> str:
    """The name with the highest figure; of those level with it the present one, else that with the fewest
    parameters that is not below the present one."""
    best = max(pooled, key=lambda name: pooled[name].value)
    level = [n for n in pooled if n == best or judge(pooled[best] - pooled[n]) is not Verdict.BETTER]
    if present in level:
        return present
    above = [n for n in level if pooled[n].value >= pooled[present].value]
    return min(above, key=lambda name: (parameters[name], name))


# --- networks, and cells on the disk ---

Assemble = Callable[[Sequence[str], Sequence[str], Sequence[Task]], "TrainingSet"]
"""(train ids, valid ids, tasks) -> what a model of these tasks is fitted to; leaves out samples without a
label of them."""


def network_fit(
    exam: Exam, recipe: "Recipe", assemble: Assemble, device: str, progress: "Progress | None" = None
) -> Fit:
    """The way of training that `recipe` describes."""
    from annotate.learning.ensemble import fit_ensemble
    from annotate.learning.predict import predict
    from annotate.learning.seeds import member_seed
    from annotate.progress import SILENT

    def fit(trial: Trial) -> Cell:
        tasks = learned(exam.learnable(trial), recipe.unimodal_labels)
        if not tasks:
            return Cell({}, 0, 0.0)
        started = time.monotonic()
        training_set = assemble(trial.train, trial.valid, tasks)
        seed = member_seed(trial.seed, trial.fold)
        checkpoint = fit_ensemble(training_set, recipe, seed=seed, device=device, progress=progress or SILENT)
        said, _ = predict(checkpoint, training_set.read, trial.held_out, device, training_set.places)
        answers = {
            t.id: (said[t.id].ticked if t.dimension.kind is Kind.MULTILABEL else said[t.id].mean).astype(
                np.float64
            )
            for t in tasks
        }
        seconds = time.monotonic() - started
        one = replace(checkpoint, members=checkpoint.members[:1]).load("cpu").net
        parameters = sum(p.numel() for p in one.parameters()) * len(checkpoint.members)
        return Cell(answers, parameters, seconds)

    return fit


def write_cell(cell: Cell, path: Path) -> None:
    """As JSON, whole or not at all."""
    facts = {
        "answers": {task_id: said.tolist() for task_id, said in cell.answers.items()},
        "parameters": cell.parameters,
        "seconds": cell.seconds,
    }
    write_whole(path, json.dumps(facts).encode())


def read_cell(path: Path) -> Cell | None:
    """None when it is not there or damaged: then it is made again."""
    try:
        facts = json.loads(path.read_bytes())
        answers = {task_id: np.array(said, np.float64) for task_id, said in facts["answers"].items()}
        return Cell(answers, int(facts["parameters"]), float(facts["seconds"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
