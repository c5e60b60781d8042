"""One number for each task, and for a model that does not know it yet."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from annotate.types import Kind, Label, Task, TaskPrediction

MEASURES: Mapping[Kind, str] = {
    Kind.REGRESSION: "Corr",
    Kind.CLASSIFICATION: "Acc",
    Kind.MULTILABEL: "F1-micro",
}
"""What a task is judged by, as in `annotate.learning.metrics`; 0 where it is undefined."""


def main_score(task: Task, scores: Mapping[str, float]) -> float:
    """What a task is judged by."""
    return scores.get(MEASURES[task.dimension.kind], 0.0)


def concordance(prediction: TaskPrediction, labels: Sequence[Label]) -> dict[str, float]:
    """``CCC`` of a regression task (Lin 1989): r that a wrong level or spread makes smaller."""
    if prediction.task.dimension.kind is not Kind.REGRESSION:
        return {}
    said = prediction.mean.astype(np.float64)
    truth = np.array([float(label.value) for label in labels])
    spread = said.var() + truth.var() + (said.mean() - truth.mean()) ** 2
    return {
        "CCC": float(2 * np.mean((said - said.mean()) * (truth - truth.mean())) / spread) if spread else 0.0
    }


def without_model(task: Task, told: Sequence[Label], truth: Sequence[Label]) -> dict[str, float]:
    """Of the best constant answer."""
    kind = task.dimension.kind
    if kind is Kind.REGRESSION or not told:
        return {"n": float(len(truth)), MEASURES[kind]: 0.0}
    counts = Counter(label.value for label in told)
    best = max(sorted(counts, key=str), key=lambda value: counts[value])
    right = float(np.mean([label.value == best for label in truth]))
    if kind is Kind.MULTILABEL:
        ticked = [set(task.dimension.ticked(str(label.value))) for label in truth]
        right = _f1_micro(set(task.dimension.ticked(str(best))), ticked)
    return {"n": float(len(truth)), MEASURES[kind]: right}


def _f1_micro(said: set[str], truth: Sequence[set[str]]) -> float:
    """Of the same ticks for every sample."""
    ticks = sum(len(said) + len(ticked) for ticked in truth)
    return 2 * sum(len(said & ticked) for ticked in truth) / ticks if ticks else 0.0
