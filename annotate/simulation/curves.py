"""Learning curves, the area under them, and the cost at which they reach a score."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.simulation.replay import CurvePoint

Array = NDArray[np.float64]

DRAWS = 2000
"""Resamples of the bootstrap over seeds."""
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Curves:
    """The learning curves of one strategy, seed by seed, cut to the length of the shortest."""

    samples: Array
    """(seeds, points) number of questions over that of passes."""
    labels: Array
    """(seeds, points)"""
    seconds: Array
    """(seeds, points) rater time."""
    score: Array
    """(seeds, points)"""

    @classmethod
    def of(
        cls, runs: Sequence[Sequence[CurvePoint]], score: Callable[[CurvePoint], float] = lambda p: p.score
    ) -> "Curves":
        """`score` selects the score: the mean over the tasks by default, or that of one."""
        length = min(len(run) for run in runs)

        def table(read: Callable[[CurvePoint], float]) -> Array:
            return np.array([[read(point) for point in run[:length]] for run in runs], dtype=np.float64)

        return cls(
            table(lambda p: p.samples), table(lambda p: p.labels), table(lambda p: p.seconds), table(score)
        )

    def areas(self, over: str = "samples", until: Array | None = None) -> Array:
        """(seeds,) mean height of each curve over the samples, or over the rater ``seconds``, by trapezoids.

        `until` (seeds,) ends the curves, because areas can only be compared over the same range.
        """
        costs: Array = getattr(self, over)
        if costs.shape[1] < 2:
            return np.asarray(self.score[:, -1])
        ends = costs[:, -1] if until is None else until
        areas = np.zeros(len(costs))
        for seed, (cost, score, end) in enumerate(zip(costs, self.score, ends, strict=True)):
            x = np.append(cost[cost < end], end)
            y = np.append(score[cost < end], np.interp(end, cost, score))
            areas[seed] = np.trapezoid(y, x) / (end - cost[0]) if end > cost[0] else score[0]
        return areas


def areas_together(curves: Mapping[str, Curves], over: str) -> dict[str, Array]:
    """By name: (seeds,) areas, for each seed up to the end of the shortest curve."""
    ends = np.min([getattr(curve, over)[:, -1] for curve in curves.values()], axis=0)
    return {name: curve.areas(over, ends) for name, curve in curves.items()}


def draws(seeds: int) -> NDArray[np.intp]:
    """(`DRAWS`, seeds) seeds drawn with replacement; the same draws at every call."""
    return np.random.default_rng(0).integers(0, seeds, (DRAWS, seeds)).astype(np.intp)


def interval(values: Array) -> tuple[float, float]:
    """The central 95 % of bootstrapped values."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_interval(values: Array) -> tuple[float, float]:
    """95 % confidence interval of the mean over seeds, by Student's t; for a single seed, its value twice."""
    from scipy.stats import t

    n, mean = len(values), float(values.mean())
    reach = float(t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return mean - reach, mean + reach


def rising(score: Array) -> Array:
    """(..., points) isotonic regression of each curve (Barlow et al. 1972).

    It never falls, so that a lucky point before worse ones does not count.
    """
    points = score.shape[-1]
    sums = np.concatenate([np.zeros((*score.shape[:-1], 1)), np.cumsum(score, axis=-1)], axis=-1)
    lowest = np.full((*score.shape, points), -np.inf)
    for first in range(points):
        lengths = np.arange(1, points - first + 1)
        means = (sums[..., first + 1 :] - sums[..., first, None]) / lengths
        # For each end of a stretch that begins at `first`: the least mean of it and of longer ones.
        lowest[..., first:, first] = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
    return np.asarray(lowest.max(axis=-1))


def reached(costs: Array, score: Array, target: float) -> Array:
    """(...,) the cost at which each rising curve first reaches a score; infinite where it never does.

    `costs` and `score` are (..., points), and a curve is linear between its points.
    """
    height = rising(score)
    above = height >= target - 1e-12
    k = np.argmax(above, axis=-1)[..., None]
    before = np.maximum(k - 1, 0)

    def at(values: Array, index: NDArray[np.intp]) -> Array:
        return np.asarray(np.take_along_axis(values, index, axis=-1)[..., 0])

    gap = at(height, k) - at(height, before)
    share = np.divide(target - at(height, before), gap, out=np.ones_like(gap), where=gap > 0)
    crossing = at(costs, before) + np.clip(share, 0, 1) * (at(costs, k) - at(costs, before))
    return np.where(above.any(axis=-1), crossing, np.inf)
