"""Scores in points with bootstrap intervals, their paired differences, and the verdict on them.

A point is a hundredth of a score: Pearson's r of a regression task, the accuracy of a classification task,
micro-F1 of a multilabel task. The bootstrap draws whole groups with replacement (Efron 1979), because the
samples of one speaker are not independent. All variants share the same draws, so that what is hard for all of
them cancels in their differences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from annotate.types import Kind

LEVEL = 0.95
"""Confidence level of an interval."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number in points, with its value in each draw of the bootstrap."""

    value: float
    draws: Array
    """(draws,)"""

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The percentile interval."""
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The paired difference; both must come from the same draws."""
        return Estimate(self.value - other.value, self.draws - other.draws)


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """The mean draw by draw: over tasks or seeds, or over evaluation sets with independent draws."""
    return Estimate(
        float(np.mean([f.value for f in estimates])),
        np.mean([estimate.draws for estimate in estimates], axis=0),
    )


Part = tuple[Array, Array, NDArray[np.intp]]
"""Predictions, labels and indices of groups of the labelled samples of one fold."""


def estimate(kind: Kind, parts: Sequence[Part], drawn: Array) -> Estimate:
    """The score of one task over the folds of one seed.

    `drawn` (1 + draws, groups) is how often each group counts: once in the first row, which gives the value,
    and as often as it was drawn in the others.
    """
    sums = []
    for predicted, truth, groups in parts:
        tallies = _TALLIES[kind](predicted, truth)
        present = np.unique(groups)
        by_group = np.stack([tallies[groups == group].sum(axis=0) for group in present])
        sums.append(drawn[:, present] @ by_group)
    points = 100 * _SCORES[kind](np.stack(sums, axis=1))
    return Estimate(float(points[0]), points[1:])


def _moments(predicted: Array, truth: Array) -> Array:
    """(n, 6) the summands of Pearson's r in one fold. Both sides are centred, so that a large offset does not
    cost precision."""
    x, y = predicted - predicted.mean(), truth - truth.mean()
    return np.column_stack([np.ones(len(x)), x, y, x * x, y * y, x * y])


def _correlation(sums: Array) -> Array:
    """(draws, folds, 6) -> (draws,): r within folds, zero where one side is constant.

    Predictions of different folds are not compared, because each fold has its own model: a model that
    predicts the mean of its train labels would get a negative r, since that mean is high where the held-out
    one is low.
    """
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    n = np.maximum(n, 1)
    spread_x, spread_y = (xx - x * x / n).sum(axis=1), (yy - y * y / n).sum(axis=1)
    product = np.maximum(spread_x, 0) * np.maximum(spread_y, 0)
    shared = (xy - x * y / n).sum(axis=1)
    return np.where(product > 1e-18, shared / np.sqrt(np.maximum(product, 1e-18)), 0.0)


def _hits(predicted: Array, truth: Array) -> Array:
    """(n, 2): 1 where the prediction is right, and 1."""
    return np.column_stack([predicted == truth, np.ones(len(truth))]).astype(np.float64)


def _ticks(predicted: Array, truth: Array) -> Array:
    """(n, 2) the summands of micro-F1: twice the ticks that both sides have, and the ticks of both sides."""
    return np.column_stack([2 * (predicted * truth).sum(axis=1), (predicted + truth).sum(axis=1)])


def _ratio(sums: Array) -> Array:
    """(draws, folds, 2) -> (draws,): the first sum divided by the second."""
    numerator, denominator = np.moveaxis(sums.sum(axis=1), -1, 0)
    return numerator / np.maximum(denominator, 1e-12)


_TALLIES = {Kind.REGRESSION: _moments, Kind.CLASSIFICATION: _hits, Kind.MULTILABEL: _ticks}
_SCORES = {Kind.REGRESSION: _correlation, Kind.CLASSIFICATION: _ratio, Kind.MULTILABEL: _ratio}


class Verdict(StrEnum):
    """What a paired difference shows."""

    BETTER = "better"
    LEVEL = "level"
    WORSE = "worse"


def judge(difference: Estimate, level: float = LEVEL) -> Verdict:
    """`LEVEL` when the interval contains zero."""
    low, high = difference.interval(level)
    if low > 0:
        return Verdict.BETTER
    return Verdict.WORSE if high < 0 else Verdict.LEVEL


def level_of_one(among: int) -> float:
    """The confidence level of each of `among` comparisons, so that all together err no more often than
    `LEVEL` allows (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(among, 1)


def choose(pooled: Mapping[str, Estimate], parameters: Mapping[str, int], present: str) -> str:
    """The name to recommend: among those level with the highest estimate the present one, else the one with
    the fewest parameters that is not below the present one."""
    best = max(pooled, key=lambda name: pooled[name].value)
    level = [n for n in pooled if n == best or judge(pooled[best] - pooled[n]) is not Verdict.BETTER]
    if present in level:
        return present
    above = [n for n in level if pooled[n].value >= pooled[present].value]
    return min(above, key=lambda name: (parameters[name], name))
