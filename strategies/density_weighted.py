"""Uncertain samples in dense regions: no outliers."""

from dataclasses import dataclass

import numpy as np

from annotate.registry import strategy
from annotate.types import Pool, Selection
from strategies._distance import Points, Wide, blocks, finite
from strategies._top import top
from strategies._wrapper import WrapperStrategy


@dataclass(frozen=True, slots=True)
class DensityOptions:
    """Options of `density-weighted`."""

    by: str = "entropy"
    """Strategy that scores the uncertainty; any strategy that scores each sample on its own."""
    beta: float = 1.0
    """Exponent of the similarity (β in the paper); 0: similarity does not count."""


@strategy("density-weighted")
class DensityWeighted(WrapperStrategy):
    """Uncertainty times mean similarity to the pool to a power (Settles and Craven 2008, section 3.4).

    The score is u · s^β, where u is the score of the wrapped strategy NAME (`entropy`), s the mean of (1
    + cosine) / 2 to the whole pool, and β the option `beta` (1).
    """

    Options = DensityOptions
    ranks_by_uncertainty = True

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """The `k` highest u · s^β. Negative scores are shifted so that the lowest is zero.

        Raises as `ScoredStrategy.select`, and `FeatureError` when an embedding is not a number.
        """
        doubt = self.scored.pool_scores(pool, rng)
        doubt = doubt - min(float(doubt.min(initial=0.0)), 0.0)
        scores = doubt * likeness(finite(pool.embeddings)) ** self.options.beta
        best = top(scores, k, rng)
        return Selection(best, scores[best])


def likeness(points: Points) -> Wide:
    """(n,) in [0, 1]: the mean of (1 + cosine) / 2 between each point and all points.

    The mean of the products is the product with the mean, so one pass is enough. The origin has cosine 0.
    """
    total = np.zeros(points.shape[1])
    for rows in blocks(len(points)):
        total += _directions(points[rows]).sum(axis=0, dtype=np.float64)
    mean = total / max(len(points), 1)
    cosines = np.empty(len(points))
    for rows in blocks(len(points)):
        cosines[rows] = _directions(points[rows]) @ mean
    return np.clip((1 + cosines) / 2, 0, 1)


def _directions(points: Points) -> Points:
    lengths = np.sqrt(np.einsum("nd,nd->n", points, points))[:, None]
    return np.asarray(points / np.where(lengths > 0, lengths, 1))
