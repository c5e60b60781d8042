"""Query by committee: entropy of the members' votes."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, TaskPrediction
from strategies._ensemble import Probs, bernoulli, by_members, entropy, shares_of, summed
from strategies._modal import is_multilabel
from strategies._scored import ScoredStrategy


@strategy("vote-entropy")
class VoteEntropy(ScoredStrategy):
    """Highest entropy of the members' votes, mean rank over the tasks (Dagan and Engelson 1995).

    Each member votes for its likeliest answer; on a regression scale, for the answer whose cell is
    likeliest. The score is the entropy of the votes. For a multilabel task members vote for or against
    each answer, and the entropies are summed.
    """

    kinds = frozenset(Kind)
    disagrees = True

    def score(self, prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
        """(n,) in nats. Equal to modAL's `vote_entropy`, which counts the votes in a Python loop."""
        shares = shares_of(prediction)
        several = is_multilabel(prediction)
        return by_members(prediction, lambda members: _spread(members, shares, several))


def _spread(members: Probs, shares: NDArray[np.float32], multilabel: bool) -> NDArray[np.float32]:
    """(some,) vote entropies of (members, some, answers); NaN where a probability is NaN."""
    if multilabel:
        ticked = np.minimum(np.tensordot(shares, members >= 0.5, 1), 1).astype(np.float32)
        entropies = summed(bernoulli(ticked))
    else:
        entropies = _one(members, shares)
    entropies[~np.isfinite(summed(members)).all(axis=0)] = np.nan
    return entropies


def _one(members: Probs, shares: NDArray[np.float32]) -> NDArray[np.float32]:
    votes = np.zeros((members.shape[1] * members.shape[2]), np.float32)
    first = np.arange(members.shape[1]) * members.shape[2]
    for member, share in zip(members, shares, strict=True):
        votes[first + member.argmax(axis=1)] += share
    # Sorted, so that rounding does not make equal vote counts differ.
    return entropy(np.sort(votes.reshape(members.shape[1:]), axis=1))
