"""Uncertainty sampling by the probability of the likeliest answer."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import TaskPrediction
from strategies._modal import measured
from strategies._scored import ScoredStrategy


@strategy("least-confidence")
class LeastConfidence(ScoredStrategy):
    """Least probable likeliest answer, mean rank over the tasks; by modAL (Lewis and Gale 1994)."""

    def score(self, prediction: TaskPrediction) -> NDArray[np.float64]:
        """One minus the highest probability."""
        from modAL.uncertainty import classifier_uncertainty

        return measured(classifier_uncertainty, prediction)
