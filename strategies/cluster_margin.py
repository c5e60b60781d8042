"""The most uncertain samples, spread over clusters, small clusters first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Pool, Selection
from strategies._clusters import centres_of
from strategies._distance import Rows, finite, nearest
from strategies._tasks import wanted_rows
from strategies._top import top
from strategies._wrapper import WrapperStrategy


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Options of `cluster-margin`."""

    by: str = "margin"
    """Strategy that scores the uncertainty; any strategy that scores each sample on its own."""
    wider: int = 10
    """Number of clustered samples, as a multiple of the batch (k_m / k_t in the paper)."""


@strategy("cluster-margin")
class ClusterMargin(WrapperStrategy):
    """The most uncertain in clusters that take turns, the smallest first (Citovsky et al. 2021).

    k-means groups the `wider` (10) times batch samples that score highest by the wrapped strategy NAME
    (`margin`). The clusters take turns, the smallest first, and each gives a random sample.
    """

    Options = ClusterOptions

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """At most `k` samples; scores fall evenly from 1.

        k-means with one cluster for every `wider` samples replaces the paper's hierarchical clustering.

        Raises as `ScoredStrategy.select`, and `FeatureError` when an embedding is not a number.
        """
        wider = max(k, min(max(1, self.options.wider) * k, int(np.sum(wanted_rows(pool)))))
        candidates = top(self.scored.pool_scores(pool, rng), wider, rng)
        if not len(candidates):
            return Selection(candidates, np.zeros(0))
        points = finite(pool.embeddings[candidates])
        count = -(-len(candidates) // max(1, self.options.wider))
        _, owner = nearest(points, centres_of(points, count, rng, pool.device), pool.device)
        chosen = candidates[in_turns(owner, rng)[:k]]
        return Selection(chosen, 1 - np.arange(len(chosen)) / len(chosen))


def in_turns(owner: NDArray[np.int32], rng: np.random.Generator) -> Rows:
    """All positions in rounds: one of each cluster, the smallest cluster first, until all are taken."""
    sizes = np.bincount(owner)
    order = rng.permutation(len(owner))
    order = order[np.argsort(owner[order], kind="stable")]
    starts = np.cumsum(sizes) - sizes
    turn = np.arange(len(owner)) - starts[owner[order]]
    equal = rng.random(len(sizes))
    return order[np.lexsort((equal[owner[order]], sizes[owner[order]], turn))]
