"""Whether one strategy is better than another, or only luckier."""

from collections.abc import Mapping
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST_SEEDS = 5
"""Below, nothing is called significant."""
ERROR = 0.05
"""How often a claim may be wrong."""
EXACT = 50
"""Pairs: beyond, the normal curve is as good."""
TIE = 1e-3
"""Areas that differ by less are the same: a tenth of a point."""


def wilcoxon(one: Array, other: Array, strata: NDArray[np.intp] | None = None) -> float:
    """Two-sided p of paired figures (Wilcoxon 1945; Pratt's way with zeros); 1 when all are the same. Up to
    `EXACT` pairs it is exact, also where gaps are equal or zero.

    With `strata` (n,) differences are first brought to the size of their stratum's, so that a set whose
    scores spread widely does not decide alone.
    """
    from scipy.stats import wilcoxon as test

    # What differs by rounding alone is no evidence.
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
    """Over all signs that the gaps could have had: a normal curve calls five equal gains significant."""
    from scipy.stats import rankdata

    ranks = (2 * rankdata(np.abs(gaps))).astype(int)[gaps != 0]  # doubled, because equals share a mean rank
    chances: Array = np.ones(1)
    for rank in ranks:
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    positive = ranks[gaps[gaps != 0] > 0].sum()
    return float(min(1.0, 2 * min(chances[: positive + 1].sum(), chances[positive:].sum())))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """The same for many looks at once (Holm 1979): so that all claims together err as often as one may."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p, key=lambda n: p[n])):
        highest = max(highest, min(1.0, p[name] * (len(p) - rank)))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p}


def seeds_needed(comparisons: int) -> int:
    """With fewer, not even a gain with each seed would be significant."""
    return max(FEWEST_SEEDS, ceil(1 + log2(max(comparisons, 1) / ERROR)))


def duels(areas: Mapping[str, Array]) -> list[dict[str, str | int]]:
    """A row for every two strategies: with how many seeds the one wins, ties, loses."""
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
