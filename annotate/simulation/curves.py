"""Learning curves, the area under them, and where they reach a score."""

from collections.abc import Callable, Sequence
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

    def areas(self, over: str = "samples") -> Array:
        """(seeds,) mean height of each curve over the samples, or over the raters' ``seconds``, by
        trapezoids."""
        if self.samples.shape[1] < 2:
            return np.asarray(self.score[:, -1])
        widths = np.diff(getattr(self, over), axis=1)
        heights = (self.score[:, 1:] + self.score[:, :-1]) / 2
        return np.asarray((widths * heights).sum(axis=1) / widths.sum(axis=1))


def draws(seeds: int) -> NDArray[np.intp]:
    """(`DRAWS`, seeds) which seeds are drawn, with replacement; always the same."""
    return np.random.default_rng(0).integers(0, seeds, (DRAWS, seeds)).astype(np.intp)


def interval(values: Array) -> tuple[float, float]:
    """Of bootstrapped figures, the middle 95 %."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_interval(values: Array) -> tuple[float, float]:
    """95 % of the mean over seeds, by drawing seeds again (Efron 1979)."""
    return interval(values[draws(len(values))].mean(axis=1))


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
