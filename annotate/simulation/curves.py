"""Learning curves, the area under them, and where they reach a score."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.simulation.replay import Point

Array = NDArray[np.float64]

DRAWS = 2000
"""Of the bootstrap over seeds."""
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Curves:
    """The runs of one strategy, seed by seed, as long as the shortest."""

    samples: Array
    """(seeds, points) questions over passes."""
    labels: Array
    """(seeds, points)"""
    seconds: Array
    """(seeds, points) of raters."""
    score: Array
    """(seeds, points)"""

    @classmethod
    def of(
        cls, runs: Sequence[Sequence[Point]], score: Callable[[Point], float] = lambda p: p.score
    ) -> "Curves":
        """`score` tells what is looked at: the mean over the tasks, or something of one."""
        length = min(len(run) for run in runs)

        def table(read: Callable[[Point], float]) -> Array:
            return np.array([[read(point) for point in run[:length]] for run in runs], dtype=np.float64)

        return cls(
            table(lambda p: p.samples), table(lambda p: p.labels), table(lambda p: p.seconds), table(score)
        )

    def areas(self, over: str = "samples", until: Array | None = None) -> Array:
        """(seeds,) mean height of each curve over the samples, or over the raters' ``seconds``, by
        trapezoids; as far as `until` (seeds,): curves can only be compared over the same stretch."""
        costs: Array = getattr(self, over)
        if costs.shape[1] < 2:
            return np.asarray(self.score[:, -1])
        ends = costs[:, -1] if until is None else until
        return np.array([_area(*run) for run in zip(costs, self.score, ends, strict=True)])


def _area(costs: Array, score: Array, end: float) -> float:
    within = costs < end
    x = np.append(costs[within], end)
    y = np.append(score[within], np.interp(end, costs, score))
    return float(np.trapezoid(y, x) / (end - costs[0])) if end > costs[0] else float(score[0])


def areas_together(curves: Mapping[str, Curves], over: str) -> dict[str, Array]:
    """By name: (seeds,) areas, seed by seed as far as the shortest of the curves goes."""
    ends = np.min([getattr(found, over)[:, -1] for found in curves.values()], axis=0)
    return {name: found.areas(over, ends) for name, found in curves.items()}


def draws(seeds: int) -> NDArray[np.intp]:
    """(`DRAWS`, seeds) which seeds are drawn, with replacement; always the same."""
    return np.random.default_rng(0).integers(0, seeds, (DRAWS, seeds)).astype(np.intp)


def interval(values: Array) -> tuple[float, float]:
    """Of bootstrapped figures, the middle 95 %."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_interval(values: Array) -> tuple[float, float]:
    """95 % of the mean over seeds, by Student's t; of a single seed the value itself, twice."""
    from scipy.stats import t

    n, mean = len(values), float(values.mean())
    reach = float(t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return mean - reach, mean + reach


def rising(score: Array) -> Array:
    """(..., points) the curve nearest to each that never falls, by least squares (Barlow et al. 1972): so
    that a lucky point in front of worse ones does not count."""
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
    """(...,) the cost at which each curve, made rising, first has a score; infinite where it never has.

    (..., points) both; between points a curve is straight.
    """
    height = rising(score)
    above = height >= target - 1e-12
    k = np.argmax(above, axis=-1)[..., None]
    before = np.maximum(k - 1, 0)

    def at(values: Array, index: NDArray[np.intp]) -> Array:
        return np.asarray(np.take_along_axis(values, index, axis=-1)[..., 0])

    gap = at(height, k) - at(height, before)
    share = np.divide(target - at(height, before), gap, out=np.ones_like(gap), where=gap > 0)
    found = at(costs, before) + np.clip(share, 0, 1) * (at(costs, k) - at(costs, before))
    return np.where(above.any(axis=-1), found, np.inf)
