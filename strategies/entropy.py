"""Uncertainty sampling by entropy."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Pool, TaskPrediction
from strategies._modal import is_multilabel, measured, measured_apart
from strategies._scored import ScoredStrategy


@strategy("entropy")
class Entropy(ScoredStrategy):
    """Highest predictive entropy, mean rank over the tasks; by modAL (Settles 2009, section 3.1)."""

    def score(self, prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
        """Entropy of the answers in nats; of a multilabel task that of each answer, summed."""
        from modAL.uncertainty import classifier_entropy

        if is_multilabel(prediction):
            return measured_apart(classifier_entropy, prediction).sum(axis=1)
        return measured(classifier_entropy, prediction)
