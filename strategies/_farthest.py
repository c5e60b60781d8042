"""Greedy farthest-first choice that updates only the distances that can matter."""

from collections.abc import Callable

import numpy as np

from strategies._distance import Rows, Wide
from strategies._top import top

FRONT = 256
"""Points whose distances are updated together."""
ACTIVE = 16_384
"""Points that are searched first: those with the largest bounds."""
WIDER = 16
"""Multiple of the number to choose; used if it is more than `ACTIVE`."""
Between = Callable[[Rows, Rows], Wide]
"""(r, c) distances between the points at the first positions and the chosen ones at the second."""
Value = Callable[[Wide, Rows, int], Wide]
"""(r,) values of distances (r,) of the points at these positions, given the number chosen; larger is
better."""


def farthest_first(
    bounds: Wide, between: Between, k: int, rng: np.random.Generator, value: Value | None = None
) -> tuple[Rows, Wide]:
    """`k` positions and their distances: each was farthest from the nearest point chosen before it.

    `bounds` (n,) is the distance to what was chosen at the start. A distance can only shrink, so an old one
    is an upper bound and is computed again only while it is the largest (lazy greedy, Minoux 1978): the
    choice is exact. Ties are broken at random. With `value`, the point of the largest value is taken; the
    value of a point must have no interior peak as the number chosen grows.
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
        self._updated_at = np.zeros(len(bounds), dtype=np.intp)
        self._active: Rows = np.zeros(0, dtype=np.intp)
        self._widen(max(ACTIVE, WIDER * k), 0)

    def take(self, position: int, count: int) -> None:
        self.chosen[count], self.gaps[count] = position, self._bounds[position]
        self._bounds[position] = -np.inf

    def farthest(self, count: int) -> int:
        """The position of the largest up-to-date value."""
        while True:
            values = self._values(self._active, count)
            best = int(values.argmax())
            if values[best] < self._rest:
                self._widen(4 * len(self._active), count)
            elif self._updated_at[self._active[best]] == count:
                return int(self._active[best])
            else:
                front = self._active[np.argpartition(-values, min(FRONT, len(values)) - 1)[:FRONT]]
                stale = np.append(front[self._updated_at[front] < count], self._active[best])
                self._update(np.unique(stale), count)

    def _values(self, rows: Rows, count: int) -> Wide:
        bounds = self._bounds[rows]
        return np.where(np.isneginf(bounds), bounds, self._value(np.maximum(bounds, 0), rows, count))

    def _update(self, rows: Rows, count: int) -> None:
        since = self._updated_at[rows].min()
        gaps = self._between(rows, self.chosen[since:count]).min(axis=1)
        self._bounds[rows] = np.minimum(self._bounds[rows], gaps)
        self._updated_at[rows] = count

    def _widen(self, size: int, count: int) -> None:
        """Search more points. `top` draws among ties, and the order is random."""
        everything = np.arange(len(self._bounds))
        values = self._values(everything, count)
        self._active = self._rng.permutation(top(values, size, self._rng))
        values = np.maximum(values, self._values(everything, max(len(self.chosen) - 1, 0)))
        values[self._active] = -np.inf
        self._rest = values.max(initial=-np.inf)
