"""k-means++ seeding: draws points by their squared distance to those drawn before."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from strategies._distance import Rows, Wide

PROPOSALS = 256
"""Proposals that are drawn together."""
PATIENCE = 1024
"""Proposals before all distances are computed again, however few points there are."""
SHARE = 1 / 8
"""The same as a share of the number of points; used if it is more."""


class Spread(Protocol):
    """Points with distances between them."""

    def between(self, rows: Rows, others: Rows) -> Wide:
        """(r, o) squared distances between a few points."""

    def nearest(self, others: Rows) -> Wide:
        """(n,) squared distance of all points to the nearest of `others`."""


def seeds(points: Spread, weights: NDArray[np.floating], k: int, rng: np.random.Generator) -> Rows:
    """`k` different positions; the first by `weights` (n,), each further one by the squared distance to the
    nearest before it (Arthur and Vassilvitskii 2007, section 2.2). If all are zero, at random.

    The distribution is exact although distances are not updated after each draw: they can only shrink, so old
    ones are used for proposals (rejection sampling), and each is accepted with the share of its weight left.
    """
    drawing = _Drawing(points, weights, k, rng)
    while len(drawing.chosen) < k and drawing.total > 0:
        drawing.draw()
    chosen = np.array(drawing.chosen, dtype=np.intp)
    if len(chosen) == k:
        return chosen
    rest = np.delete(np.arange(len(weights)), chosen)
    return np.append(chosen, rng.choice(rest, k - len(chosen), replace=False))


class _Drawing:
    def __init__(
        self, points: Spread, weights: NDArray[np.floating], k: int, rng: np.random.Generator
    ) -> None:
        self._points, self._k, self._rng = points, k, rng
        self._fresh = 0
        self._tried = 0
        self._most = max(PATIENCE, int(SHARE * len(weights)))
        self.chosen: list[int] = []
        self._weigh(weights.astype(np.float64))

    def _weigh(self, weights: Wide) -> None:
        self._weights = weights
        self._sums = np.cumsum(weights)
        self.total = float(self._sums[-1]) if len(weights) else 0.0
        self._tried = 0

    def draw(self) -> None:
        """Make some proposals, or update all distances after too many."""
        if not self.chosen:
            self.chosen.append(int(self._propose(1)[0]))
            self._renew(np.inf)
        elif self._tried > self._most:
            self._renew(self._weights)
        else:
            self._judge(self._propose(PROPOSALS))

    def _propose(self, count: int) -> Rows:
        """Positions by the old distances; a weight of zero is never proposed."""
        places = np.searchsorted(self._sums, self._rng.random(count) * self.total, side="right")
        return np.minimum(places, len(self._sums) - 1)

    def _renew(self, before: Wide | float) -> None:
        recent = np.array(self.chosen[self._fresh :], dtype=np.intp)
        weights = self._points.nearest(recent) if len(recent) else self._weights
        np.minimum(before, weights, out=weights)
        weights[recent] = 0
        self._fresh = len(self.chosen)
        self._weigh(weights)

    def _judge(self, proposed: Rows) -> None:
        true = self._weights[proposed]
        needed = self._rng.random(len(proposed)) * true
        recent = np.array(self.chosen[self._fresh :], dtype=np.intp)
        if len(recent):
            true = np.minimum(true, self._points.between(proposed, recent).min(axis=1))
        for i, position in enumerate(proposed):
            if needed[i] < true[i]:
                self.chosen.append(int(position))
                if len(self.chosen) == self._k:
                    return
                nearer = self._points.between(proposed[i:], proposed[i : i + 1])[:, 0]
                true[i:] = np.minimum(true[i:], nearer)
        self._tried += len(proposed)
