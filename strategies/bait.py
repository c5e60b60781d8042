"""Minimises the expected variance of the whole pool's predictions, by Fisher information."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from strategies._distance import Points, Rows, Wide, blocks
from strategies._gradients import error_of, wanted_gradients
from strategies._top import top

CANDIDATES = 8192
"""Candidates of a larger pool: the samples that gain most as the first one; more for a large batch."""
RIDGE = 1.0
"""λ: prior information about every direction, in samples of mean length."""


@strategy("bait")
class Bait:
    """Least expected variance over the pool, forward and back (Ash, Goel, Krishnamurthy and Kakade 2021).

    Minimises tr(M⁻¹ F), where F is the mean Fisher information of the pool and M that of the labelled and
    chosen samples plus a ridge of one mean sample. The information of a sample is ‖e‖² h hᵀ with e and h
    as in `badge`, so the answers of one head count separately. Twice the batch is added greedily; then
    the samples that are missed least are removed. In a larger pool, the 8192 samples (at least four for
    each of the batch) that gain most as the first one are candidates.
    """

    needs = frozenset({Requirement.MODEL, Requirement.REPRESENTATIONS, Requirement.LABELS})
    kinds = frozenset(Kind)

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Forward-backward greedy on tr(M⁻¹ F) (section 4); scores fall evenly from 1.

        The information of a sample is w h hᵀ in each layer, where w is the squared norm of `error_of` over
        the asked tasks: answers of one head count separately, because the full matrix would be answers² times
        as large. Raises `ModelError` without a model, or when its predictions are not numbers.
        """
        given = wanted_gradients(pool)
        k = min(k, len(pool))
        if k == 0 or not given.pairs:
            return Selection(rng.permutation(len(pool))[:k].astype(np.intp), 1 - np.arange(k) / max(k, 1))
        rows = [_scaled(errors, representations) for errors, representations in given.pairs]
        layers = [
            Layer(points, _labelled_rows(pool, representations))
            for points, (_, representations) in zip(rows, given.pairs, strict=True)
        ]
        gains = np.sum([layer.gains(points) for layer, points in zip(layers, rows, strict=True)], axis=0)
        candidates = top(gains, max(CANDIDATES, 4 * k), rng)
        search = _Search(layers, [points[candidates].astype(np.float64) for points in rows], rng)
        chosen = candidates[search.chosen(k)]
        return Selection(chosen, 1 - np.arange(k) / k)


def _scaled(errors: NDArray[np.float32], representations: Points) -> Points:
    """(n, hidden) vectors whose outer products are the information of each sample."""
    return np.asarray(np.sqrt(np.einsum("nc,nc->n", errors, errors))[:, None] * representations)


def _labelled_rows(pool: Pool, representations: Points) -> Points:
    """(m, hidden) the same for the labelled samples."""
    known = pool.known
    tasks = [
        t
        for t in pool.asked()
        if pool.representations[t] is representations
        and t in known.representations
        and t in known.predictions
    ]
    if not tasks:
        return np.zeros((0, representations.shape[1]), dtype=np.float32)
    errors = np.concatenate([error_of(known.predictions[t]) for t in tasks], axis=1)
    return _scaled(errors, known.representations[tasks[0]])


class Layer:
    """M⁻¹ and F of one layer."""

    def __init__(self, points: Points, labelled: Points) -> None:
        total = sum((_outer(points[rows]) for rows in blocks(len(points))), np.zeros((points.shape[1],) * 2))
        self.pool = total / len(points)
        mean = float(np.trace(self.pool)) / len(self.pool)
        ridge = RIDGE * (mean if mean > 0 else 1.0)
        self.inverse = np.linalg.inv(_outer(labelled) + ridge * np.eye(len(self.pool)))

    def gains(self, points: Points) -> Wide:
        """(n,) decrease of tr(M⁻¹ F) if the sample were added."""
        result = np.empty(len(points))
        wide = self.inverse @ self.pool @ self.inverse
        for rows in blocks(len(points)):
            block = points[rows].astype(np.float64)
            own = np.einsum("nd,nd->n", block @ self.inverse, block)
            result[rows] = np.einsum("nd,nd->n", block @ wide, block) / (1 + own)
        return result

    def change(self, point: Wide, sign: int) -> tuple[Wide, Wide, float, float]:
        """Add (1) or remove (-1) a point by the Sherman-Morrison formula.

        Returns what the update of other gains needs, from before the change: M⁻¹x, M⁻¹F M⁻¹x, ± 1 + xᵀM⁻¹x
        and xᵀM⁻¹F M⁻¹x.
        """
        toward = self.inverse @ point
        across = self.inverse @ (self.pool @ toward)
        scale, spread = sign + float(point @ toward), float(point @ across)
        self.inverse -= np.outer(toward, toward) / scale
        return toward, across, scale, spread


def _outer(points: Points) -> Wide:
    wide = points.astype(np.float64)
    return wide.T @ wide


@dataclass
class _Moments:
    """xᵀM⁻¹x and xᵀM⁻¹F M⁻¹x of the candidates in one layer."""

    own: Wide
    shared: Wide


class _Search:
    def __init__(self, layers: list[Layer], points: list[Wide], rng: np.random.Generator) -> None:
        self._layers, self._points, self._rng = layers, points, rng
        self._moments = [_moments(layer, some) for layer, some in zip(layers, points, strict=True)]
        self._in = np.zeros(len(points[0]), dtype=bool)

    def chosen(self, k: int) -> Rows:
        """`k` candidates in the order in which they were added."""
        order = [self._step(1) for _ in range(min(2 * k, len(self._in)))]
        while self._in.sum() > k:
            self._step(-1)
        return np.array([i for i in order if self._in[i]], dtype=np.intp)

    def _step(self, sign: int) -> int:
        """Add the sample that gains most, or remove the one that loses least; its index."""
        change = sum(m.shared / (sign + m.own) for m in self._moments)
        able = self._in if sign < 0 else ~self._in
        values = np.where(able, change, -np.inf)
        best = int(self._rng.choice(np.flatnonzero(values >= values.max())))
        for layer, some, moments in zip(self._layers, self._points, self._moments, strict=True):
            toward, across, scale, spread = layer.change(some[best], sign)
            near, far = some @ toward, some @ across
            moments.own -= near**2 / scale
            moments.shared -= 2 * near * far / scale - near**2 * spread / scale**2
        self._in[best] = sign > 0
        return best


def _moments(layer: Layer, points: Wide) -> _Moments:
    toward = points @ layer.inverse
    return _Moments(np.einsum("nd,nd->n", toward, points), np.einsum("nd,nd->n", toward @ layer.pool, toward))
