"""Uncertainty sampling by the gap between the two likeliest answers."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import TaskPrediction
from strategies._modal import measured
from strategies._scored import ScoredStrategy


@strategy("margin")
class Margin(ScoredStrategy):
    """Smallest gap between the two likeliest answers, mean rank over tasks; by modAL (Luo et al. 2005)."""

    def score(self, prediction: TaskPrediction) -> NDArray[np.float64]:
        """Minus the gap between two probabilities."""
        from modAL.uncertainty import classifier_margin

        return -measured(classifier_margin, prediction)
