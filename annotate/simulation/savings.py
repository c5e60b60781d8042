"""How many labels and how much of the raters' time a strategy saves on the way to a score."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annotate.simulation.curves import LEVEL, Curves, draws, reached

SHARES = (0.90, 0.95, 0.99)
"""Of the score with all labels."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reach:
    """What it takes to get to a score, in labels or seconds; None: not reached."""

    needed: float | None
    low: float | None
    high: float | None
    saved: float | None
    """Share of what uniform draws need; None where one of the two never gets there."""
    saved_low: float | None
    saved_high: float | None
    """No share is known where all labels bring no more than uniform draws: a bad start alone would save."""
    at_least: float | None = None
    """Share saved where uniform draws do not get there within the simulation, as if they would at its end."""


def reaches(
    curves: Mapping[str, Curves], base: str, target: float, unit: str, *, headroom: bool = True
) -> dict[str, Reach]:
    """By strategy; `unit` is ``labels`` or ``seconds``. Intervals come from drawing seeds again, the same for
    all, and the mean curve of each draw. Without `headroom` nothing is said to be saved."""
    seeds = len(curves[base].score)
    drawn = np.vstack([np.arange(seeds)[None], draws(seeds)])
    needed = {name: _needed(found, unit, target, drawn) for name, found in curves.items()}
    end = float(getattr(curves[base], unit)[:, -1].mean())
    found = {name: _reach(costs, needed[base], end, name == base) for name, costs in needed.items()}
    if headroom:
        return found
    nothing = {"saved": None, "saved_low": None, "saved_high": None, "at_least": None}
    return {name: replace(reach, **nothing) for name, reach in found.items()}


def _needed(found: Curves, unit: str, target: float, drawn: NDArray[np.intp]) -> Array:
    """(1 + draws,) all seeds first; infinite where the target is not reached."""
    costs: Array = getattr(found, unit)
    return reached(costs[drawn].mean(axis=1), found.score[drawn].mean(axis=1), target)


def _reach(needed: Array, base: Array, end: float, is_base: bool) -> Reach:
    low, high = np.quantile(needed[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
    if is_base:
        return Reach(_known(needed[0]), _known(low), _known(high), None, None, None)
    both = np.isfinite(needed) & np.isfinite(base)
    saved = 1 - np.divide(needed, base, out=np.zeros_like(needed), where=both)
    # Where one of them often stays below the target, an interval would be one of the lucky draws.
    told = both[0] and both[1:].mean() >= LEVEL
    ends = np.quantile(saved[1:][both[1:]], [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if told else (None, None)
    beyond = np.isfinite(needed[0]) and not np.isfinite(base[0])
    return Reach(
        needed=_known(needed[0]),
        low=_known(low),
        high=_known(high),
        saved=float(saved[0]) if both[0] else None,
        saved_low=None if ends[0] is None else float(ends[0]),
        saved_high=None if ends[1] is None else float(ends[1]),
        at_least=float(1 - needed[0] / end) if beyond else None,
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
