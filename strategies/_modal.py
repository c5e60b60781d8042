"""Applies modAL's measures, which ask a classifier, to the predictions of a round."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from annotate.types import Kind, TaskPrediction
from strategies._ensemble import Probs, Scores, by_mean

Measure = Callable[["RoundClassifier", NDArray[np.intp]], NDArray[np.floating]]


class RoundClassifier:
    """A classifier for modAL whose "samples" are positions in the pool, so nothing is computed twice."""

    def __init__(self, probs: Probs) -> None:
        self._probs = probs

    def predict_proba(self, positions: NDArray[np.intp] | slice) -> Probs:
        """(k, answers) probabilities of the samples at these positions."""
        return self._probs[positions]


def measured(measure: Measure, prediction: TaskPrediction) -> Scores:
    """(n,) one of modAL's ``classifier_*`` measures of the mean of the ensemble."""
    return by_mean(prediction, lambda probs: measure(RoundClassifier(probs), slice(None)))  # type: ignore[arg-type]


def measured_apart(
    measure: Measure, prediction: TaskPrediction, join: Callable[[NDArray[np.floating]], NDArray[np.floating]]
) -> Scores:
    """(n,) the same for each answer of a multilabel task on its own, ticked or not; `join` reduces (some,
    answers) to (some,)."""

    def score(ticked: Probs) -> NDArray[np.floating]:
        wide = ticked.astype(np.float64)
        pairs = np.stack([wide, 1 - wide], axis=-1).reshape(-1, 2)
        values = measure(RoundClassifier(pairs), slice(None))  # type: ignore[arg-type]
        return join(values.reshape(ticked.shape))

    return by_mean(prediction, score)


def is_multilabel(prediction: TaskPrediction) -> bool:
    """Whether its rows are independent probabilities that do not sum to one."""
    return prediction.task.dimension.kind is Kind.MULTILABEL
