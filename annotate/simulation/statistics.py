"""Tests whether one strategy is better than another, or only luckier."""

from collections.abc import Mapping
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST_SEEDS = 5
"""With fewer seeds, no gain is called significant."""
ERROR = 0.05
"""Significance level: how often a claim may be wrong."""
EXACT = 50
"""Number of pairs up to which the test is exact; beyond, the normal approximation is as good."""
TIE = 1e-3
"""Areas that differ by less count as equal: a tenth of a point."""


def wilcoxon(one: Array, other: Array, strata: NDArray[np.intp] | None = None) -> float:
    """Two-sided p-value of the signed-rank test of pairs (Wilcoxon 1945, with zeros as in Pratt 1959).

    It is 1 when all pairs are equal, and exact up to `EXACT` pairs, also with ties and zeros. With `strata`
    (n,) the differences are divided by the mean size of those of their stratum, so that a data set with
    widely spread scores does not decide alone.
    """
    from scipy.stats import wilcoxon as test

    # A difference by rounding alone is no evidence.
    gaps = (np.asarray(one, np.float64) - np.asarray(other, np.float64)).round(12)
    if strata is not None:
        for number in np.unique(strata):
            size = np.abs(gaps[strata == number]).mean()
            gaps[strata == number] /= size or 1.0
    gaps = gaps.round(12)
    if not gaps.any():
        return 1.0
    if len(gaps) <= EXACT:
        return _exact(gaps)
    return float(test(gaps, zero_method="pratt", method="approx").pvalue)


def _exact(gaps: Array) -> float:
    """The p-value over all signs of the gaps; the normal approximation calls five equal gains significant."""
    from scipy.stats import rankdata

    ranks = (2 * rankdata(np.abs(gaps))).astype(int)[gaps != 0]  # doubled, because equals share a mean rank
    chances: Array = np.ones(1)
    for rank in ranks:
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    positive = ranks[gaps[gaps != 0] > 0].sum()
    return float(min(1.0, 2 * min(chances[: positive + 1].sum(), chances[positive:].sum())))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """p-values corrected for several comparisons (Holm 1979): the chance of any error stays at its level."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p, key=lambda n: p[n])):
        highest = max(highest, min(1.0, p[name] * (len(p) - rank)))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p}


def seeds_needed(comparisons: int) -> int:
    """The number of seeds below which even a gain with every seed would not be significant."""
    return max(FEWEST_SEEDS, ceil(1 + log2(max(comparisons, 1) / ERROR)))


def duels(areas: Mapping[str, Array]) -> list[dict[str, str | int]]:
    """A row for every two strategies: the number of seeds with which one wins, ties and loses."""
    names = list(areas)
    rows: list[dict[str, str | int]] = []
    for one in names:
        for other in names:
            if one != other:
                gaps = areas[one] - areas[other]
                win, loss = int((gaps > TIE).sum()), int((gaps < -TIE).sum())
                rows.append(
                    {
                        "strategy": one,
                        "against": other,
                        "win": win,
                        "tie": len(gaps) - win - loss,
                        "loss": loss,
                    }
                )
    return rows
