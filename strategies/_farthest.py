"""Again and again the point that is farthest from all chosen before, without looking at every point again."""

from collections.abc import Callable

import numpy as np

from strategies._distance import Rows, Wide
from strategies._top import top

FRONT = 256
"""Points that are brought up to date together."""
ACTIVE = 16_384
"""Points that are looked at first, those with the largest bounds."""
Between = Callable[[Rows, Rows], Wide]
"""Gaps (r, c) between points at these positions and chosen ones at those."""


def farthest_first(bounds: Wide, between: Between, k: int, rng: np.random.Generator) -> tuple[Rows, Wide]:
    """`k` positions and their gaps: each had the largest gap to the nearest of what was there before it.

    `bounds` (n,) is the gap to what was there at the beginning. A gap can only shrink, so an old one is an
    upper bound, and is computed again only while it is the largest (Minoux 1978): the choice is exact.
    Chance decides between equals.
    """
    search = _Search(bounds, between, k, rng)
    for count in range(k):
        search.take(search.farthest(count), count)
    return search.chosen, search.gaps


class _Search:
    def __init__(self, bounds: Wide, between: Between, k: int, rng: np.random.Generator) -> None:
        self.chosen, self.gaps = np.empty(k, dtype=np.intp), np.empty(k)
        self._bounds, self._between, self._rng = bounds.astype(np.float64), between, rng
        self._seen = np.zeros(len(bounds), dtype=np.intp)
        self._active: Rows = np.zeros(0, dtype=np.intp)
        self._widen(max(ACTIVE, 16 * k))

    def take(self, position: int, count: int) -> None:
        self.chosen[count], self.gaps[count] = position, self._bounds[position]
        self._bounds[position] = -np.inf

    def farthest(self, count: int) -> int:
        """The position whose bound is the largest of all, and true."""
        while True:
            values = self._bounds[self._active]
            best = int(self._active[values.argmax()])
            if self._bounds[best] < self._rest:
                self._widen(4 * len(self._active))
            elif self._seen[best] == count:
                return best
            else:
                front = self._active[np.argpartition(-values, min(FRONT, len(values)) - 1)[:FRONT]]
                stale = np.append(front[self._seen[front] < count], best)
                self._update(np.unique(stale), count)

    def _update(self, rows: Rows, count: int) -> None:
        since = self._seen[rows].min()
        found = self._between(rows, self.chosen[since:count]).min(axis=1)
        self._bounds[rows] = np.minimum(self._bounds[rows], found)
        self._seen[rows] = count

    def _widen(self, size: int) -> None:
        """Look at more of them; of equals those that `top` draws, in an order of their own."""
        active = top(self._bounds, size, self._rng)
        self._active = self._rng.permutation(active)
        least = self._bounds[active[-1]] if len(active) < len(self._bounds) else -np.inf
        self._rest = least
