"""Uncertainty sampling by entropy."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, TaskPrediction
from strategies._ensemble import bernoulli, by_mean, entropy, summed
from strategies._modal import is_multilabel
from strategies._scored import ScoredStrategy


@strategy("entropy")
class Entropy(ScoredStrategy):
    """Highest predictive entropy, mean rank over the tasks (Settles 2009, section 3.1).

    The score is the entropy H(p) of the mean of the ensemble; for a multilabel task, the sum of the
    entropies of the answers.
    """

    kinds = frozenset(Kind)

    def score(self, prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
        """Entropy of the answers in nats; of a multilabel task that of each answer, summed.

        Equal to modAL's `classifier_entropy`, which takes six times as long: it has each row normalised
        again, and the logarithms one by one.
        """
        if is_multilabel(prediction):
            return by_mean(prediction, lambda ticked: summed(bernoulli(ticked)))
        return by_mean(prediction, entropy)
