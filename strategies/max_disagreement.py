"""Query by committee: how far the most dissenting member is from all of them."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, TaskPrediction
from strategies._ensemble import TINY, Probs, Scores, by_members, shares_of, summed
from strategies._modal import is_multilabel
from strategies._scored import ScoredStrategy


@strategy("max-disagreement")
class MaxDisagreement(ScoredStrategy):
    """Largest KL divergence of a member from the mean, mean rank over the tasks (McCallum and Nigam 1998).

    The score is the largest divergence KL(pₖ ‖ mean p) of any member whose weight is not zero. For a
    multilabel task the divergences of the answers are summed first.
    """

    kinds = frozenset(Kind)
    disagrees = True

    def score(self, prediction: TaskPrediction, pool: Pool) -> Scores:
        """Highest divergence of a member from the mean of all, in nats; of a multilabel task its answers'
        divergences are added up before the highest is taken.

        Equal to modAL's `KL_max_disagreement`, without its (n, members) float64 and one pass of scipy each.
        """
        shares = shares_of(prediction)
        several = is_multilabel(prediction)
        return by_members(prediction, lambda members: _farthest(members, shares, several))


def _farthest(members: Probs, shares: NDArray[np.float32], multilabel: bool) -> NDArray[np.float32]:
    mean = np.zeros(members.shape[1:], np.float32)
    for member, share in zip(members, shares, strict=True):
        mean += member * share
    farthest = np.zeros(members.shape[1], np.float32)
    for member in members[shares > 0]:
        apart = _divergence(member, mean)
        if multilabel:
            apart += _divergence(1 - member, 1 - mean)
        np.maximum(farthest, summed(apart), out=farthest)
    return farthest


def _divergence(probs: Probs, mean: Probs) -> Probs:
    """The terms of KL(probs || mean), whose sum is what counts."""
    return probs * (np.log(np.maximum(probs, TINY)) - np.log(np.maximum(mean, TINY)))
