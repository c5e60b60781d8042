"""Uncertain samples far from the labelled ones, weighted by the labelled share."""

from dataclasses import dataclass

import numpy as np

from annotate.registry import strategy
from annotate.types import Pool, Selection
from strategies._distance import Rows, Wide, finite, middlemost, nearest, squared, squared_between
from strategies._farthest import farthest_first
from strategies._tasks import wanted_rows
from strategies._wrapper import WrapperStrategy


@dataclass(frozen=True, slots=True)
class RankedOptions:
    """Options of `ranked-batch`."""

    by: str = "least-confidence"
    """Strategy that scores the uncertainty; any strategy that scores each sample on its own."""


@strategy("ranked-batch")
class RankedBatch(WrapperStrategy):
    """Uncertainty and distance to the labelled samples, weighted as in modAL (Cardoso et al. 2017).

    Repeatedly takes the largest α (1 - 1 / (1 + d)) + (1 - α) u, where d is the distance to the nearest
    labelled or chosen sample, u the score of the wrapped strategy NAME (`least-confidence`) and α the
    unlabelled share of all samples. Scores outside [0, 1] are rescaled to it.
    """

    Options = RankedOptions
    ranks_by_uncertainty = True

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """The choice of `modAL.batch.ranked_batch`; scores fall evenly from 1.

        Without labelled samples it starts at the sample nearest the mean, where modAL takes the smallest mean
        distance. Scores outside [0, 1], such as those of `margin` or nats, are rescaled to it. Raises as
        `ScoredStrategy.select`, and `FeatureError` when an embedding is not a number.
        """
        doubt = _within_one(self.scored.pool_scores(pool, rng))
        last = np.where(wanted_rows(pool), 0, 2)  # labelled in every task
        points, labelled = finite(pool.embeddings), finite(pool.known.embeddings)
        n, k = len(points), min(k, len(points))
        if k == 0:
            return Selection(np.zeros(0, dtype=np.intp), np.zeros(0))
        first = [] if len(labelled) else [middlemost(points, rng)]
        gaps = squared(points, points[first[0]]) if first else nearest(points, labelled, pool.device)[0]
        bounds = gaps.astype(np.float64)
        bounds[first] = -np.inf

        def value(gaps: Wide, rows: Rows, count: int) -> Wide:
            alpha = (n - len(first) - count) / (n + len(labelled))
            return alpha * (1 - 1 / (1 + np.sqrt(gaps))) + (1 - alpha) * doubt[rows] - last[rows]

        def between(rows: Rows, some: Rows) -> Wide:
            return squared_between(points[rows], points[some])

        chosen, _ = farthest_first(bounds, between, k - len(first), rng, value)
        return Selection(np.append(np.array(first, dtype=np.intp), chosen), 1 - np.arange(k) / k)


def _within_one(scores: Wide) -> Wide:
    """(n,) the scores if they lie in [0, 1]; else rescaled from 0 for the lowest to 1 for the highest."""
    if not len(scores) or (scores.min() >= 0 and scores.max() <= 1):
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros(len(scores))
