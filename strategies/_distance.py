"""Distances between embeddings, in blocks, so that a million samples need no square matrix."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from annotate.errors import FeatureError

BLOCK = 2048
Points = NDArray[np.float32]
Wide = NDArray[np.float64]


def finite(points: Points) -> Points:
    """The points themselves.

    Raises `FeatureError` when a coordinate is not a finite number.
    """
    if not np.isfinite(points).all():
        raise FeatureError(
            "some embeddings are not numbers",
            hint="make features and model anew: `annotate extract`, then `annotate train --force`",
        )
    return points


def squared(points: Points, centre: Points | Wide) -> Wide:
    """(n,) squared distance of (n, d) points to one centre; exactly 0 for equals."""
    result = np.empty(len(points))
    for start in range(0, len(points), BLOCK):
        gap = points[start : start + BLOCK].astype(np.float64) - centre
        result[start : start + BLOCK] = np.einsum("nd,nd->n", gap, gap)
    return result


def nearest_squared(points: Points, centres: Points) -> Wide:
    """(n,) squared distance of (n, d) points to the nearest of (m, d) centres; infinite when m is 0."""
    result = np.full(len(points), np.inf)
    for rows, gaps in squared_blocks(points, centres):
        result[rows] = np.minimum(result[rows], gaps.min(axis=1))
    return result


def squared_blocks(points: Points, centres: Points) -> Iterator[tuple[slice, Wide]]:
    """All squared distances of (n, d) points to (m, d) centres, piece by piece: (rows, (rows, some of m))."""
    wide = centres.astype(np.float64)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK].astype(np.float64)
        for first in range(0, len(wide), BLOCK):
            some = wide[first : first + BLOCK]
            gaps = (block**2).sum(axis=1)[:, None] - 2 * block @ some.T + (some**2).sum(axis=1)
            yield slice(start, start + len(block)), np.maximum(gaps, 0)
