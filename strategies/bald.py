"""Bayesian active learning by disagreement of the ensemble."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, TaskPrediction
from strategies._ensemble import Probs, bernoulli, by_members, plogp, shares_of, summed
from strategies._scored import ScoredStrategy

NOISE_FLOOR = 1e-3
"""Lower bound of the noise as a share of the scale: a collapsed noise head would win every draw."""


@dataclass(frozen=True, slots=True)
class BaldOptions:
    """Options of `bald`."""

    combine: str = "sum"
    """As for the other strategies; scores in nats can be summed over the tasks."""


@strategy("bald")
class Bald(ScoredStrategy):
    """Most disagreement of the ensemble, in nats, summed over the tasks (Houlsby et al. 2011).

    The score of a classification task is H(mean p) - mean H(p), the mutual information between the answer
    and the ensemble member. For a multilabel task it is the sum of that over the answers; for a
    regression task it is ½ log(1 + (epistemic / noise)²), where the noise is at least 0.1 % of the scale.
    All are in nats, so the tasks are summed.
    """

    kinds = frozenset(Kind)
    Options = BaldOptions
    disagrees = True

    def score(self, prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
        """(n,) mutual information between answer and model, in nats; the closed form of normals for
        regression.

        The sum over the answers of a multilabel task is an upper bound of the information of the whole set,
        because redundant answers are counted twice (Kirsch et al. 2019, section 3).
        """
        kind = prediction.task.dimension.kind
        if kind is Kind.REGRESSION:
            return np.asarray(0.5 * np.log1p((prediction.epistemic / noise_of(prediction)) ** 2))
        shares = shares_of(prediction)
        several = kind is Kind.MULTILABEL
        return by_members(prediction, lambda members: _information(members, shares, several))


def _information(members: Probs, shares: NDArray[np.float32], multilabel: bool) -> NDArray[np.float32]:
    """(some,) H(mean p) - mean H(p) of (members, some, answers), one member at a time."""
    mean, doubt = np.zeros((2, *members.shape[1:]), np.float32)
    for member, share in zip(members, shares, strict=True):
        mean += member * share
        doubt += (bernoulli(member) if multilabel else -plogp(member)) * share
    return np.maximum(summed((bernoulli(mean) if multilabel else -plogp(mean)) - doubt), 0)


def noise_of(prediction: TaskPrediction) -> NDArray[np.float64]:
    """(n,) standard deviation of the noise of a regression task, at least `NOISE_FLOOR` of the scale."""
    dimension = prediction.task.dimension
    floor = NOISE_FLOOR * (dimension.high - dimension.low)
    return np.maximum(prediction.aleatoric.astype(np.float64), floor)
