"""Bayesian active learning by disagreement of the ensemble."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, TaskPrediction
from strategies._scored import ScoredStrategy

NOISE_FLOOR = 1e-3
"""Least noise that is believed, as a share of the scale: a collapsed noise head would win every draw."""


@strategy("bald")
class Bald(ScoredStrategy):
    """Most disagreement of the ensemble, in nats, summed over the tasks (Houlsby et al. 2011)."""

    def score(self, prediction: TaskPrediction) -> NDArray[np.float64]:
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

    def comparable(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Nats are nats in every task."""
        return scores

    def combine(self, stacked: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The sum: a sample that teaches four heads is worth more than one that teaches one."""
        return np.asarray(stacked.sum(axis=0))


def _normal(prediction: TaskPrediction) -> NDArray[np.float64]:
    dimension = prediction.task.dimension
    floor = NOISE_FLOOR * (dimension.high - dimension.low)
    noise = np.maximum(prediction.aleatoric.astype(np.float64), floor)
    return np.asarray(0.5 * np.log1p((prediction.epistemic / noise) ** 2))


def _entropy(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis, in nats."""
    return np.asarray(-(probs * np.log(np.maximum(probs, 1e-12))).sum(axis=-1))
