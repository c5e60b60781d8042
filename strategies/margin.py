"""Uncertainty sampling by the gap between the two likeliest answers."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, TaskPrediction
from strategies._modal import is_multilabel, measured, measured_apart
from strategies._scored import ScoredStrategy


@strategy("margin")
class Margin(ScoredStrategy):
    """Smallest gap between the two likeliest answers, mean rank over tasks; by modAL (Luo et al. 2005).

    The score is minus the difference between the largest and the second largest probability. For a
    multilabel task it is minus the smallest |2p - 1| of any answer (Brinker 2006).
    """

    kinds = frozenset(Kind)

    def score(self, prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
        """Minus the gap between two probabilities.

        Of a multilabel task the smallest gap between ticked and not ticked (Brinker 2006, section 3).
        """
        from modAL.uncertainty import classifier_margin

        if is_multilabel(prediction):
            return -measured_apart(classifier_margin, prediction, lambda gaps: gaps.min(axis=1))
        return -measured(classifier_margin, prediction)
