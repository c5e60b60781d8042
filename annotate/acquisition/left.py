"""How much of each task is still to be learned, as labels say that nothing was learned from."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.acquisition.known import numbers
from annotate.types import Kind, Label, TaskPrediction

DOUBT = 10.0
"""So many labels more are thought of that say that nothing was learned: few valid labels prove little."""


def left_to_learn(
    predictions: Mapping[str, TaskPrediction], sample_ids: Sequence[str], labels: Iterable[Label]
) -> dict[str, float]:
    """By task id, in [0, 1]: the share of a constant answer's error that the model makes on these samples.

    `predictions` are of these samples, in their order; `labels` those of valid or test. Of a scale it is the
    squared error, of classes the wrong answers, of several answers the wrong ticks.
    """
    tasks = [prediction.task for prediction in predictions.values()]
    said = numbers(tasks, sample_ids, labels)
    return {task_id: _share(prediction, said[task_id]) for task_id, prediction in predictions.items()}


def _share(prediction: TaskPrediction, said: NDArray[np.float64]) -> float:
    rows = np.flatnonzero(np.isfinite(said.reshape(len(said), -1)).all(axis=1))
    if not len(rows):
        return 1.0
    own, constant = _errors(prediction.of(rows), said[rows])
    share = min(own / constant, 1.0) if constant > 0 else 1.0
    return (len(rows) * share + DOUBT) / (len(rows) + DOUBT)


def _errors(prediction: TaskPrediction, said: NDArray[np.float64]) -> tuple[float, float]:
    """Of the model, and of the best constant."""
    kind = prediction.task.dimension.kind
    if kind is Kind.REGRESSION:
        return float(((prediction.mean - said) ** 2).sum()), float(((said - said.mean()) ** 2).sum())
    if kind is Kind.MULTILABEL:
        ticked = said.astype(bool)
        usual = ticked.mean(axis=0) >= 0.5
        return float((prediction.ticked != ticked).sum()), float((usual != ticked).sum())
    usual_class = np.bincount(said.astype(np.intp)).argmax()
    return float((prediction.mean != said).sum()), float((said != usual_class).sum())
