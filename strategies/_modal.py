"""Hands the predictions of a round to modAL's measures, which ask a classifier for them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from annotate.types import Kind, TaskPrediction
from strategies._ensemble import Probs, Scores, by_mean

Measure = Callable[["RoundClassifier", NDArray[np.intp]], NDArray[np.floating]]


class RoundClassifier:
    """A classifier in modAL's sense whose "samples" are positions in the pool: nothing is computed twice."""

    def __init__(self, probs: Probs) -> None:
        self._probs = probs

    def predict_proba(self, positions: NDArray[np.intp] | slice) -> Probs:
        """(k, answers) of the k samples at these positions."""
        return self._probs[positions]


def measured(measure: Measure, prediction: TaskPrediction) -> Scores:
    """(n,) what one of modAL's ``classifier_*`` measures says about the mean of the ensemble."""
    return by_mean(prediction, lambda probs: _ask(measure, probs))


def measured_apart(
    measure: Measure, prediction: TaskPrediction, join: Callable[[NDArray[np.floating]], NDArray[np.floating]]
) -> Scores:
    """(n,) the same for each answer of a multilabel task on its own, ticked or not: `join` makes one number
    of (some, answers)."""

    def score(ticked: Probs) -> NDArray[np.floating]:
        wide = ticked.astype(np.float64)
        pairs = np.stack([wide, 1 - wide], axis=-1).reshape(-1, 2)
        return join(_ask(measure, pairs).reshape(ticked.shape))

    return by_mean(prediction, score)


def _ask(measure: Measure, probs: NDArray[np.floating]) -> NDArray[np.floating]:
    return measure(RoundClassifier(probs), slice(None))  # type: ignore[arg-type]


def is_multilabel(prediction: TaskPrediction) -> bool:
    """Whether its rows are independent probabilities that do not sum to one."""
    return prediction.task.dimension.kind is Kind.MULTILABEL
