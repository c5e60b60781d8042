"""Uncertainty sampling by the probability of the likeliest answer."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, TaskPrediction
from strategies._modal import is_multilabel, measured, measured_apart
from strategies._scored import ScoredStrategy


@strategy("least-confidence")
class LeastConfidence(ScoredStrategy):
    """Lowest probability of the likeliest answer, mean rank over the tasks; by modAL (Lewis and Gale 1994).

    The score is 1 - max p. For a multilabel task p is the probability of the likeliest set of answers, so
    that the score is 1 - ∏ max(p, 1 - p).
    """

    kinds = frozenset(Kind)

    def score(self, prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
        """One minus the highest probability; of a multilabel task that of the likeliest set of answers."""
        from modAL.uncertainty import classifier_uncertainty

        if is_multilabel(prediction):
            return measured_apart(classifier_uncertainty, prediction, lambda doubt: 1 - (1 - doubt).prod(1))
        return measured(classifier_uncertainty, prediction)
