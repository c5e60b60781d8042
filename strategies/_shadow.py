"""Low-dimensional projections of points that give lower bounds of the distances between them."""

import numpy as np
from numpy.typing import NDArray

from strategies._distance import Points, Rows, blocks

AXES = 23
SAMPLE = 16_384
"""Points that the axes are computed from."""
SLACK = 1e-5
"""Rounding error of float32, as a share of the largest squared distance from the mean."""


class Shadow:
    """(n, AXES + 1): coordinates on the first principal axes, and the length of the remainder.

    An orthogonal projection makes no distance longer, and two vectors are at least as far apart as their
    lengths differ, so the distance between two projections is a lower bound.
    """

    def __init__(self, points: Points, rng: np.random.Generator) -> None:
        sample = points[rng.permutation(len(points))[:SAMPLE]].astype(np.float64)
        middle = sample.mean(axis=0)
        _, axes = np.linalg.eigh(np.cov(sample.T, bias=True).reshape(points.shape[1], points.shape[1]))
        axes = axes[:, ::-1][:, :AXES].astype(np.float32)
        self._places = np.empty((len(points), axes.shape[1] + 1), dtype=np.float32)
        self._sizes = np.empty(len(points), dtype=np.float32)
        for rows in blocks(len(points)):
            apart = points[rows] - middle.astype(np.float32)
            cast = apart @ axes
            size = np.einsum("nd,nd->n", apart, apart)
            left = np.maximum(size - np.einsum("nd,nd->n", cast, cast), 0)
            self._places[rows, :-1], self._places[rows, -1] = cast, np.sqrt(left)
            self._sizes[rows] = size
        self._slack = SLACK * self._sizes.max(initial=0)

    def within(self, position: int, gaps: NDArray[np.float32]) -> Rows:
        """Rows whose squared distance to the point at `position` may be below their `gaps` (n,)."""
        bound = self._places @ (-2 * self._places[position])
        bound += self._sizes
        bound += self._sizes[position] - self._slack
        return np.flatnonzero(bound < gaps)
