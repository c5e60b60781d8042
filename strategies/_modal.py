"""Hands the predictions of a round to modAL, whose measures ask a classifier for them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from annotate.types import Kind, TaskPrediction

Measure = Callable[["RoundClassifier", NDArray[np.intp]], NDArray[np.float64]]


class RoundClassifier:
    """A classifier in modAL's sense whose "samples" are positions in the pool: nothing is computed twice."""

    def __init__(self, probs: NDArray[np.floating]) -> None:
        self._probs = probs.astype(np.float64)

    def predict_proba(self, positions: NDArray[np.intp]) -> NDArray[np.float64]:
        """(k, answers) of the k samples at these positions."""
        return np.asarray(self._probs[positions])


def measured(measure: Measure, prediction: TaskPrediction) -> NDArray[np.float64]:
    """(n,) what one of modAL's ``classifier_*`` measures says about the mean of the ensemble."""
    probs = prediction.probs
    return np.asarray(measure(RoundClassifier(probs), np.arange(len(probs))), dtype=np.float64)


def measured_apart(measure: Measure, prediction: TaskPrediction) -> NDArray[np.float64]:
    """(n, answers) the same for each answer of a multilabel task on its own: ticked, or not."""
    ticked = prediction.probs.astype(np.float64)
    pairs = np.stack([ticked, 1 - ticked], axis=-1).reshape(-1, 2)
    said = measure(RoundClassifier(pairs), np.arange(len(pairs)))
    return np.asarray(said, dtype=np.float64).reshape(ticked.shape)


def is_multilabel(prediction: TaskPrediction) -> bool:
    """Whether its rows are independent probabilities that do not sum to one."""
    return prediction.task.dimension.kind is Kind.MULTILABEL
