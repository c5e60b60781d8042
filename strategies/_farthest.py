"""Again and again the point that is farthest from all chosen before, without looking at every point again."""

from collections.abc import Callable

import numpy as np

from strategies._distance import Rows, Wide
from strategies._top import top

FRONT = 256
"""Points that are brought up to date together."""
ACTIVE = 16_384
"""Points that are looked at first, those with the largest bounds."""
WIDER = 16
"""Times as many as are to be chosen, where that is more."""
Between = Callable[[Rows, Rows], Wide]
"""Gaps (r, c) between points at these positions and chosen ones at those."""
Value = Callable[[Wide, Rows, int], Wide]
"""(r,) what gaps (r,) of the points at these positions are worth when so many are chosen; larger is more."""


def farthest_first(
    bounds: Wide, between: Between, k: int, rng: np.random.Generator, value: Value | None = None
) -> tuple[Rows, Wide]:
    """`k` positions and their gaps: each had the largest gap to the nearest of what was there before it.

    `bounds` (n,) is the gap to what was there at the beginning. A gap can only shrink, so an old one is an
    upper bound, and is computed again only while it is the largest (Minoux 1978): the choice is exact.
    Chance decides between equals. With `value` the largest value is taken; it has to be linear, or anything
    else without a peak inside, in a number that only rises or only falls with the number chosen.
    """
    search = _Search(bounds, between, k, rng, value or (lambda gaps, rows, count: gaps))
    for count in range(k):
        search.take(search.farthest(count), count)
    return search.chosen, search.gaps


class _Search:
    def __init__(
        self, bounds: Wide, between: Between, k: int, rng: np.random.Generator, value: Value
    ) -> None:
        self.chosen, self.gaps = np.empty(k, dtype=np.intp), np.empty(k)
        self._bounds, self._between, self._rng = bounds.astype(np.float64), between, rng
        self._value = value
        self._seen = np.zeros(len(bounds), dtype=np.intp)
        self._active: Rows = np.zeros(0, dtype=np.intp)
        self._widen(max(ACTIVE, WIDER * k), 0)

    def take(self, position: int, count: int) -> None:
        self.chosen[count], self.gaps[count] = position, self._bounds[position]
        self._bounds[position] = -np.inf

    def farthest(self, count: int) -> int:
        """The position whose value is the largest of all, and true."""
        while True:
            values = self._values(self._active, count)
            best = int(values.argmax())
            if values[best] < self._rest:
                self._widen(4 * len(self._active), count)
            elif self._seen[self._active[best]] == count:
                return int(self._active[best])
            else:
                front = self._active[np.argpartition(-values, min(FRONT, len(values)) - 1)[:FRONT]]
                stale = np.append(front[self._seen[front] < count], self._active[best])
                self._update(np.unique(stale), count)

    def _values(self, rows: Rows, count: int) -> Wide:
        bounds = self._bounds[rows]
        return np.where(np.isneginf(bounds), bounds, self._value(np.maximum(bounds, 0), rows, count))

    def _update(self, rows: Rows, count: int) -> None:
        since = self._seen[rows].min()
        found = self._between(rows, self.chosen[since:count]).min(axis=1)
        self._bounds[rows] = np.minimum(self._bounds[rows], found)
        self._seen[rows] = count

    def _widen(self, size: int, count: int) -> None:
        """Look at more of them; of equals those that `top` draws, in an order of their own."""
        everything = np.arange(len(self._bounds))
        values = self._values(everything, count)
        self._active = self._rng.permutation(top(values, size, self._rng))
        values = np.maximum(values, self._values(everything, max(len(self.chosen) - 1, 0)))
        values[self._active] = -np.inf
        self._rest = values.max(initial=-np.inf)
