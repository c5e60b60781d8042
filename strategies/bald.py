"""Bayesian active learning by disagreement of the ensemble."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, TaskPrediction
from strategies._scored import ScoredStrategy

NOISE_FLOOR = 1e-3
"""Least noise that is believed, as a share of the scale: a collapsed noise head would win every draw."""


@dataclass(frozen=True, slots=True)
class BaldOptions:
    """Nats are nats in every task, and a sample that teaches four heads is worth more than one that teaches
    one."""

    combine: str = "sum"
    """What several tasks make together, as for the others."""


@strategy("bald")
class Bald(ScoredStrategy):
    """Most disagreement of the ensemble, in nats, summed over the tasks (Houlsby et al. 2011)."""

    Options = BaldOptions

    def score(self, prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
        """Mutual information between answer and model, in nats; the normal's closed form for regression.

        Of a multilabel task that of each answer, summed, as over tasks: at least what the whole set tells,
        because answers that say the same are counted twice (Kirsch et al. 2019, section 3).
        """
        kind = prediction.task.dimension.kind
        if kind is Kind.REGRESSION:
            return _normal(prediction)
        members = prediction.members.astype(np.float64)
        if kind is Kind.MULTILABEL:
            members = np.stack([members, 1 - members], axis=-1)
        mean = prediction.average(members)
        gained = np.maximum(_entropy(mean) - prediction.average(_entropy(members)), 0)
        return gained.sum(axis=-1) if kind is Kind.MULTILABEL else gained


def _normal(prediction: TaskPrediction) -> NDArray[np.float64]:
    dimension = prediction.task.dimension
    floor = NOISE_FLOOR * (dimension.high - dimension.low)
    noise = np.maximum(prediction.aleatoric.astype(np.float64), floor)
    return np.asarray(0.5 * np.log1p((prediction.epistemic / noise) ** 2))


def _entropy(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis, in nats."""
    return np.asarray(-(probs * np.log(np.maximum(probs, 1e-12))).sum(axis=-1))
