"""Draws points one by one, each by its squared distance to those drawn before: the law of k-means++."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from strategies._distance import Rows, Wide

PROPOSALS = 256
"""Drawn together."""
PATIENCE = 1024
"""Proposals that may be made, however few points there are, before all distances are computed again."""
SHARE = 1 / 8
"""Of the number of points: likewise, where that is more."""


class Spread(Protocol):
    """Points between which distances can be told."""

    def between(self, rows: Rows, others: Rows) -> Wide:
        """(r, o) squared distances of few."""

    def nearest(self, others: Rows) -> Wide:
        """(n,) squared distance of all to the nearest of some."""


def seeds(points: Spread, weights: NDArray[np.floating], k: int, rng: np.random.Generator) -> Rows:
    """`k` different positions; the first by `weights` (n,), each further one by the squared distance to the
    nearest before it (Arthur and Vassilvitskii 2007, section 2.2). All zero: by chance.

    Exactly that law, though distances are not brought up to date after each draw: they can only shrink, so
    old ones serve to propose, and a proposal is accepted with the share that is left of its weight.
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
        """Some proposals, or all distances anew after too many of them."""
        if not self.chosen:
            self.chosen.append(int(self._propose(1)[0]))
            self._renew(np.inf)
        elif self._tried > self._most:
            self._renew(self._weights)
        else:
            self._judge(self._propose(PROPOSALS))

    def _propose(self, count: int) -> Rows:
        """By the old distances; what has none is never proposed."""
        found = np.searchsorted(self._sums, self._rng.random(count) * self.total, side="right")
        return np.minimum(found, len(self._sums) - 1)

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
