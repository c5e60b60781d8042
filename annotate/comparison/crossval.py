"""Cross-validation of training configurations on the same grouped folds and seeds.

Every prediction is for a sample whose group was not in the training part of the fold.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.comparison.estimates import Array, Estimate, estimate, mean
from annotate.durable import write_whole
from annotate.errors import ModelError
from annotate.learning.folds import grouped_folds
from annotate.learning.requirements import FEWEST_VALID, missing_labels, trainable
from annotate.types import Kind, Label, Task
from annotate.wording import counted, either

if TYPE_CHECKING:
    from annotate.learning.model_config import ModelConfig
    from annotate.learning.prepared import TrainingSet
    from annotate.progress import Progress

DRAWS = 2000
"""Number of bootstrap draws."""
FEW_GROUPS = 5
"""Fewest groups for a trustworthy interval: fewer give hardly any different bootstrap draws."""
FEW_SAMPLES = 30
"""Fewest labelled samples for a verdict. With 30, half the width of the 95 % interval of an accuracy of one
half is 18 points and that of a correlation near zero 36, while configurations differ by a few points."""
VALID_SHARE = 0.2
"""Share of the samples of a fold's training part, in whole groups, for early stopping."""

Answers = Mapping[str, Array]
"""By task id, predictions for the held-out samples: (n,) values on the scale or indices of classes; for a
multilabel task (n, answers), 1.0 where ticked. A task that was not learned is absent."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold for one seed: sorted sample ids; no group is in two of the three parts."""

    seed: int
    number: int
    """From 0."""
    train: tuple[str, ...]
    valid: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoldResult:
    """Predictions of one configuration in one fold."""

    answers: Answers
    parameters: int
    """Number of parameters of all members together."""
    seconds: float


Fit = Callable[[Fold], FoldResult]
"""Trains on a fold and predicts its held-out samples."""


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """n labelled samples on which configurations are compared."""

    tasks: tuple[Task, ...]
    ids: tuple[str, ...]
    groups: NDArray[np.str_]
    """(n,) group of each sample; groups are never divided."""
    labels: Mapping[tuple[str, str], Label]
    """By (sample id, task id); many may be missing."""

    @property
    def group_count(self) -> int:
        """Number of groups."""
        return len(np.unique(self.groups))

    @property
    def too_few(self) -> str:
        """Why a verdict is impossible, because of too few samples or groups; empty if there are enough."""
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

    def split(self, count: int, seeds: Sequence[int]) -> list[Fold]:
        """`count` folds for each seed, or as many as there are groups.

        Raises `ModelError` when all samples are in one group.
        """
        groups = self.group_count
        if groups < 2:
            raise ModelError(
                "all labelled samples are in one group, so no group can be held out",
                hint="label samples of another speaker; `[splits] together` says what makes a group",
            )
        result = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            for fold, held_out in enumerate(grouped_folds(self.groups, min(count, groups), rng)):
                rest = np.setdiff1d(np.arange(len(self.ids)), held_out)
                valid = rest[_whole_groups(self.groups[rest], VALID_SHARE, rng)]
                parts = (np.setdiff1d(rest, valid), valid, held_out)
                result.append(Fold(seed, fold, *(tuple(sorted(self.ids[i] for i in p)) for p in parts)))
        return result

    def labels_of(self, task: Task, ids: Sequence[str]) -> list[Label]:
        """The labels of one task, in the order of `ids`."""
        return [self.labels[i, task.id] for i in ids if (i, task.id) in self.labels]

    def learnable(self, fold: Fold) -> tuple[Task, ...]:
        """The tasks with enough labels in the training part of a fold."""
        return tuple(t for t in self.tasks if not missing_labels(t, self.labels_of(t, fold.train)))

    def draws(self, rng: np.random.Generator, count: int = DRAWS) -> Array:
        """(count, groups) how often each group is drawn, groups in sorted order."""
        groups = self.group_count
        return rng.multinomial(groups, np.full(groups, 1 / groups), size=count).astype(np.float64)

    def estimates(
        self, folds: Sequence[Fold], results: Sequence[FoldResult], draws: Array
    ) -> dict[str, "Estimate"]:
        """By id of each predicted task: its score, the mean over the seeds; `results` in the order of
        `folds`."""
        by_seed: dict[int, list[tuple[Fold, FoldResult]]] = {}
        for fold, result in zip(folds, results, strict=True):
            by_seed.setdefault(fold.seed, []).append((fold, result))
        return {
            task.id: mean([_estimate(self, task, by_seed[seed], draws) for seed in by_seed])
            for task in self.tasks
            if any(task.id in result.answers for result in results)
        }


def _whole_groups(groups: NDArray[np.str_], share: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """Indices of the samples of random groups, about `share` of all; none if no such groups have at least
    `FEWEST_VALID` samples without exceeding the share by half."""
    _, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    most, taken, chosen = 1.5 * share * len(groups), 0, []
    for group in rng.permutation(len(sizes)):
        if taken < share * len(groups) and taken + sizes[group] <= most:
            chosen.append(group)
            taken += sizes[group]
    return np.flatnonzero(np.isin(which, chosen)) if taken >= FEWEST_VALID else np.zeros(0, np.intp)


def _estimate(
    evaluation: EvaluationSet, task: Task, pairs: Sequence[tuple[Fold, FoldResult]], draws: Array
) -> Estimate:
    """The score of one task in the folds of one seed."""
    names, group = np.unique(evaluation.groups, return_inverse=True)
    group_of = dict(zip(evaluation.ids, group.tolist(), strict=True))
    parts = []
    for fold, result in pairs:
        predicted, truth, ids = _held_out(evaluation, task, fold, result)
        if ids:
            parts.append((predicted, truth, np.array([group_of[i] for i in ids])))
    return estimate(task.dimension.kind, parts, np.vstack([np.ones(len(names)), draws]))


def _held_out(
    evaluation: EvaluationSet, task: Task, fold: Fold, result: FoldResult
) -> tuple[Array, Array, list[str]]:
    """Predictions, labels and ids of the held-out samples with a label."""
    if task.id not in result.answers:
        return np.zeros(0), np.zeros(0), []
    rows = [k for k, i in enumerate(fold.held_out) if (i, task.id) in evaluation.labels]
    ids = [fold.held_out[k] for k in rows]
    return np.asarray(result.answers[task.id])[rows], truths(task, evaluation.labels_of(task, ids)), ids


def other_scores(
    evaluation: EvaluationSet, folds: Sequence[Fold], results: Sequence[FoldResult]
) -> dict[str, dict[str, float]]:
    """By task id: all scores of the task's kind over the held-out samples of all folds together."""
    from annotate.learning.metrics import scores

    by_task = {}
    for task in evaluation.tasks:
        parts = [
            _held_out(evaluation, task, fold, result) for fold, result in zip(folds, results, strict=True)
        ]
        parts = [part for part in parts if part[2]]
        if parts:
            predicted, truth = (
                np.concatenate([part[i] for part in parts]).astype(np.float32) for i in (0, 1)
            )
            if task.dimension.kind is Kind.MULTILABEL:
                by_task[task.id] = scores(task, predicted.astype(bool), truth.astype(bool))
            else:
                by_task[task.id] = scores(task, predicted, truth)
    return by_task


def truths(task: Task, labels: Sequence[Label]) -> Array:
    """(n,) or (n, answers): the labels in the form of `Answers`."""
    dimension = task.dimension
    if dimension.kind is Kind.REGRESSION:
        return np.array([float(label.value) for label in labels])
    if dimension.kind is Kind.CLASSIFICATION:
        position = {answer.value: i for i, answer in enumerate(dimension.answers)}
        return np.array([float(position[label.value]) for label in labels])
    ticked = [set(dimension.ticked(str(label.value))) for label in labels]
    rows = [[float(a.alias in ticks) for a in dimension.answers] for ticks in ticked]
    return np.array(rows).reshape(len(labels), len(dimension.answers))


Assemble = Callable[[Sequence[str], Sequence[str], Sequence[Task]], "TrainingSet"]
"""(train ids, valid ids, tasks) -> the training set for these tasks, without samples that have no label of
them."""


def network_fit(
    evaluation: EvaluationSet,
    config: "ModelConfig",
    assemble: Assemble,
    device: str,
    progress: "Progress | None" = None,
) -> Fit:
    """A function that trains with `config` on a fold."""
    from annotate.learning.ensemble import fit_ensemble
    from annotate.learning.predict import predict
    from annotate.learning.seeds import member_seed
    from annotate.progress import SILENT

    def fit(fold: Fold) -> FoldResult:
        tasks = trainable(evaluation.learnable(fold), config.unimodal_labels)
        if not tasks:
            return FoldResult({}, 0, 0.0)
        started = time.monotonic()
        training_set = assemble(fold.train, fold.valid, tasks)
        seed = member_seed(fold.seed, fold.number)
        checkpoint = fit_ensemble(training_set, config, seed=seed, device=device, progress=progress or SILENT)
        predictions = predict(
            checkpoint, training_set.read, fold.held_out, device, training_set.origins
        ).predictions
        answers = {
            t.id: (
                predictions[t.id].ticked if t.dimension.kind is Kind.MULTILABEL else predictions[t.id].mean
            ).astype(np.float64)
            for t in tasks
        }
        seconds = time.monotonic() - started
        one = replace(checkpoint, members=checkpoint.members[:1]).load("cpu").net
        parameters = sum(p.numel() for p in one.parameters()) * len(checkpoint.members)
        return FoldResult(answers, parameters, seconds)

    return fit


def write_result(result: FoldResult, path: Path) -> None:
    """Write a result as JSON, atomically."""
    facts = {
        "answers": {task_id: values.tolist() for task_id, values in result.answers.items()},
        "parameters": result.parameters,
        "seconds": result.seconds,
    }
    write_whole(path, json.dumps(facts).encode())


def read_result(path: Path) -> FoldResult | None:
    """The stored result; None if it is missing or damaged."""
    try:
        facts = json.loads(path.read_bytes())
        answers = {task_id: np.array(values, np.float64) for task_id, values in facts["answers"].items()}
        return FoldResult(answers, int(facts["parameters"]), float(facts["seconds"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
