"""Groups points by k-means, of which a sample is enough to find the centres."""

import numpy as np

from strategies._distance import Points, Rows, Wide, nearest, squared_between
from strategies._seeding import seeds

SAMPLE = 256
"""Points per centre that the centres are made of."""
ROUNDS = 8


def centres_of(points: Points, count: int, rng: np.random.Generator, device: str = "cpu") -> Points:
    """(count or fewer, d) means of Lloyd's algorithm, seeded by the law of k-means++.

    Made of `SAMPLE` points per centre, drawn by chance. Fewer where there are not so many different points.
    """
    sample = points[rng.permutation(len(points))[: SAMPLE * count]]
    count = min(count, len(sample))
    drawn = seeds(_Plain(sample, device), np.ones(len(sample)), count, rng)
    centres = np.unique(sample[drawn], axis=0)
    for _ in range(ROUNDS):
        _, owner = nearest(sample, centres, device)
        centres = _means(sample, owner.astype(np.intp), centres)
    return centres


def _means(points: Points, owner: Rows, centres: Points) -> Points:
    """(m, d) of the points that each owns; one that owns none stays where it is."""
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=len(centres))
    owned = np.flatnonzero(counts)
    starts = (np.cumsum(counts) - counts)[owned]
    sums = np.add.reduceat(points[order], starts, axis=0, dtype=np.float64)
    means = centres.copy()
    means[owned] = sums / counts[owned, None]
    return means


class _Plain:
    """Points as they are, for `seeds`."""

    def __init__(self, points: Points, device: str) -> None:
        self._points, self._device = points, device

    def between(self, rows: Rows, others: Rows) -> Wide:
        return squared_between(self._points[rows], self._points[others])

    def nearest(self, others: Rows) -> Wide:
        return nearest(self._points, self._points[others], self._device)[0].astype(np.float64)
