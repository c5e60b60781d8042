"""Kernel herding: the batch represents the whole pool, dense regions first."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from strategies._distance import Points, Rows, Wide, blocks, finite, highest, squared, squared_between

REFERENCE = 2048
"""Samples that the mean over a larger pool is estimated from."""
CANDIDATES = 32_768
"""Candidates, drawn at random from a larger pool; more if more than a quarter of them are asked for."""
COLUMNS = 2048
"""Centres per block."""
LEAST = 1e-30
"""Smallest squared distance that float32 can distinguish from 0."""
WIDTH = 0.25
"""Width of the kernel as a share of the median squared distance; see benchmarks/cold_start.py."""


@strategy("herding")
class Herding:
    """Samples that represent the pool best beside those already asked (Chen, Welling and Smola 2010).

    The score is the mean similarity to the pool, minus the summed similarity to the samples that were
    asked or chosen, divided by their number plus one. The kernel is Gaussian, with a quarter of the
    median squared distance as its width. In a larger pool, 2048 samples drawn at random stand for all,
    and 32 768 (at least four for each of the batch) are candidates.
    """

    needs: frozenset[Requirement] = frozenset()
    kinds = frozenset(Kind)

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Greedy; scores fall evenly from 1. Raises `FeatureError` when an embedding is not a number."""
        everything, labelled = finite(pool.embeddings), finite(pool.known.embeddings)
        k = min(k, len(everything))
        if k == 0:
            return Selection(np.zeros(0, dtype=np.intp), np.zeros(0))
        drawn = rng.permutation(len(everything))[: max(CANDIDATES, 4 * k)]
        points = everything[drawn]
        reference = _some(everything, labelled, rng)
        gaps = squared_between(reference, reference)
        apart = gaps[gaps > LEAST]
        width = WIDTH * float(np.median(apart)) if len(apart) else 1.0
        wanted = _similarity(points, reference, width) / len(reference)
        near = _similarity(points, labelled, width)
        chosen = _herd(points, wanted, near, len(labelled), width, k, rng)
        return Selection(drawn[chosen], 1 - np.arange(k) / k)


def _some(points: Points, labelled: Points, rng: np.random.Generator) -> Points:
    """Up to `REFERENCE` points of both together, at random."""
    rows: Rows = rng.permutation(len(points) + len(labelled))[:REFERENCE]
    inside = rows < len(points)
    return np.concatenate([points[rows[inside]], labelled[rows[~inside] - len(points)]])


def _similarity(points: Points, centres: Points, width: float) -> Wide:
    """(n,) sum of the Gaussian kernel between each point and all centres."""
    total = np.zeros(len(points))
    for rows in blocks(len(points)):
        for start in range(0, len(centres), COLUMNS):
            some = centres[start : start + COLUMNS]
            total[rows] += np.exp(-squared_between(points[rows], some) / width).sum(axis=1)
    return total


def _herd(
    points: Points, wanted: Wide, near: Wide, asked: int, width: float, k: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """`k` positions, each the point that the samples so far represent worst.

    `wanted` is the mean similarity to the pool, `near` the summed similarity to the `asked` samples.
    """
    free = np.zeros(len(points))
    chosen = np.empty(k, dtype=np.intp)
    for count in range(k):
        new = highest(wanted - near / (asked + count + 1) + free, rng)
        near = near + np.exp(-squared(points, points[new]) / np.float32(width))
        free[new] = -np.inf
        chosen[count] = new
    return chosen
