"""Clusters of points around their nearest centres, kept up to date while points become centres."""

import numpy as np
from numpy.typing import NDArray

from strategies._distance import Points, Rows, highest, squared
from strategies._shadow import Shadow


class Clusters:
    """Clusters whose `split` makes the farthest point of the largest one a new centre.

    A point moves to a new centre only if it is nearer than its own. Points whose `Shadow` is too far from
    that of the new centre are skipped.
    """

    def __init__(
        self, points: Points, gaps: NDArray[np.float32], owner: NDArray[np.int32], rng: np.random.Generator
    ) -> None:
        """`gaps` (n,) are squared distances to the nearest centre, `owner` (n,) the indices of these
        centres."""
        self._points, self._gaps, self._owner, self._rng = points, gaps, owner, rng
        self._shadow = Shadow(points, rng)
        self._sums = np.bincount(owner, gaps).tolist()
        self._total = float(sum(self._sums))

    def split(self) -> int:
        """The new centre; a random one if every point is a centre or equal to one."""
        sums = np.array(self._sums)
        if sums.max() <= 1e-12 * self._total:
            position = int(self._rng.choice(np.flatnonzero(self._owner >= 0)))
        else:
            members = np.flatnonzero(self._owner == highest(sums, self._rng))
            position = int(members[highest(self._gaps[members], self._rng)])
        self.claim(position)
        self._gather(position)
        return position

    def claim(self, position: int) -> None:
        """Make this point a centre, which is in no cluster."""
        self._sums[self._owner[position]] -= float(self._gaps[position])
        self._owner[position], self._gaps[position] = -1, 0

    def _gather(self, position: int) -> None:
        """Move the points that are nearer to this centre than to their own."""
        rows = self._shadow.within(position, self._gaps)
        gaps = squared(self._points, self._points[position], rows)
        nearer = gaps < self._gaps[rows]
        self._move(rows[nearer], gaps[nearer])

    def _move(self, rows: Rows, gaps: NDArray[np.float32]) -> None:
        lost = np.bincount(self._owner[rows], self._gaps[rows])
        for cluster in np.flatnonzero(lost):
            self._sums[cluster] -= float(lost[cluster])
        self._owner[rows], self._gaps[rows] = len(self._sums), gaps
        self._sums.append(float(gaps.sum(dtype=np.float64)))
