"""k-means on a sample of the points."""

import numpy as np

from strategies._distance import Points, Rows, Wide, nearest, squared_between
from strategies._seeding import seeds

SAMPLE = 256
"""Points per centre that the centres are computed from."""
ROUNDS = 8


def centres_of(points: Points, count: int, rng: np.random.Generator, device: str = "cpu") -> Points:
    """(count or fewer, d) centres by Lloyd's algorithm, seeded as in k-means++.

    Computed from `SAMPLE` points per centre, drawn at random. There are fewer centres than `count` if there
    are fewer different points.
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
    """(m, d) mean of the points of each cluster; the centre of an empty cluster stays where it is."""
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=len(centres))
    owned = np.flatnonzero(counts)
    starts = (np.cumsum(counts) - counts)[owned]
    sums = np.add.reduceat(points[order], starts, axis=0, dtype=np.float64)
    means = centres.copy()
    means[owned] = sums / counts[owned, None]
    return means


class _Plain:
    """Plain points, for `seeds`."""

    def __init__(self, points: Points, device: str) -> None:
        self._points, self._device = points, device

    def between(self, rows: Rows, others: Rows) -> Wide:
        return squared_between(self._points[rows], self._points[others])

    def nearest(self, others: Rows) -> Wide:
        return nearest(self._points, self._points[others], self._device)[0].astype(np.float64)
