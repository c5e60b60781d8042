"""The labels and the rater time that a strategy saves on the way to a score."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annotate.simulation.curves import LEVEL, Curves, draws, reached

SHARES = (0.90, 0.95, 0.99)
"""Scores to reach, as shares of the score with all labels."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reach:
    """The labels or seconds needed to reach a score; None: not reached."""

    needed: float | None
    low: float | None
    high: float | None
    saved: float | None
    """Share of what uniform draws need; None where one of the two never reaches the score."""
    saved_low: float | None
    saved_high: float | None
    """Without headroom no share is given, because uniform draws with a bad start set would look expensive."""
    at_least: float | None = None
    """Share saved where uniform draws do not reach the score, as if they did so at the end."""


def reaches(
    curves: Mapping[str, Curves], base: str, target: float, unit: str, *, headroom: bool = True
) -> dict[str, Reach]:
    """By strategy; `unit` is ``labels`` or ``seconds``.

    Intervals are bootstrapped over the seeds, with the same draws for all strategies and the mean curve of
    each draw. Without `headroom` no savings are given.
    """
    seeds = len(curves[base].score)
    drawn = np.vstack([np.arange(seeds)[None], draws(seeds)])
    # (1 + draws,) by strategy, all seeds first; infinite where the target is not reached.
    needed = {
        name: reached(getattr(c, unit)[drawn].mean(axis=1), c.score[drawn].mean(axis=1), target)
        for name, c in curves.items()
    }
    end = float(getattr(curves[base], unit)[:, -1].mean())
    result = {name: _reach(costs, needed[base], end, name == base) for name, costs in needed.items()}
    if headroom:
        return result
    nothing = {"saved": None, "saved_low": None, "saved_high": None, "at_least": None}
    return {name: replace(reach, **nothing) for name, reach in result.items()}


def _reach(needed: Array, base: Array, end: float, is_base: bool) -> Reach:
    low, high = np.quantile(needed[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
    all_seeds, least, most = (float(v) if np.isfinite(v) else None for v in (needed[0], low, high))
    if is_base:
        return Reach(all_seeds, least, most, None, None, None)
    both = np.isfinite(needed) & np.isfinite(base)
    saved = 1 - np.divide(needed, base, out=np.zeros_like(needed), where=both)
    saved_low = saved_high = None
    # Where one of them often stays below the target, an interval would cover the lucky draws only.
    if both[0] and both[1:].mean() >= LEVEL:
        bounds = np.quantile(saved[1:][both[1:]], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        saved_low, saved_high = float(bounds[0]), float(bounds[1])
    beyond = np.isfinite(needed[0]) and not np.isfinite(base[0])
    return Reach(
        all_seeds, least, most, float(saved[0]) if both[0] else None, saved_low, saved_high,
        at_least=float(1 - needed[0] / end) if beyond else None,
    )  # fmt: skip
