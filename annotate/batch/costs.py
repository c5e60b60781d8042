"""What a question costs: seconds of a rater's time, by pass and length of the clip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.types import Modality

PRIOR_QUESTIONS = 2
"""So many answers weigh as much as what the settings say: these may well be wrong by a factor of two,
and raters differ by a third."""
INTERRUPTED = 5.0
"""Who took so many times as long as expected was called away, and tells nothing about the question."""
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class PassCost:
    """Of one question of a pass: its form is opened and its clip played once, for all dimensions together."""

    fixed: float
    """Seconds, however short the clip is."""
    rate: float
    """Seconds more for each second of the clip."""

    def of(self, lengths: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) seconds of one rater for clips of (n,) seconds."""
        return self.fixed + self.rate * lengths


Costs = Mapping[Modality, PassCost]


@dataclass(frozen=True, slots=True)
class LeadTime:
    """How long one rater took for one question, as Label Studio measured it."""

    modality: Modality
    clip_seconds: float
    seconds: float


def learn(prior: Costs, told: Sequence[LeadTime]) -> dict[Modality, PassCost]:
    """`prior`, drawn towards what raters took: a line through their times, pass by pass, by least squares.

    Nothing learned is below zero. Of a pass without answers the prior stays.
    """
    return {m: _learned(cost, [t for t in told if t.modality is m]) for m, cost in prior.items()}


def _learned(prior: PassCost, told: Sequence[LeadTime]) -> PassCost:
    lengths = np.array([t.clip_seconds for t in told], dtype=float)
    seconds = np.array([t.seconds for t in told], dtype=float)
    usable = np.isfinite(lengths) & np.isfinite(seconds) & (seconds > 0) & (lengths >= 0)
    lengths, seconds = lengths[usable], seconds[usable]
    if not len(seconds):
        return prior
    found = PassCost(float(np.median(seconds)), 0.0)
    for _ in range(ROUNDS):
        kept = seconds <= INTERRUPTED * np.maximum(found.of(lengths), np.median(seconds))
        found = _line(prior, lengths[kept], seconds[kept], found)
    return found


def _line(
    prior: PassCost, lengths: NDArray[np.float64], seconds: NDArray[np.float64], before: PassCost
) -> PassCost:
    """Least squares with `PRIOR_QUESTIONS` made-up ones on the prior's line, spread like the real ones. Who
    needs long differs by more seconds, so an error counts as a share of what was found `before`."""
    spread = np.linspace(0.5, 1.5, PRIOR_QUESTIONS) * (lengths.mean() or 1.0)
    x = np.concatenate([lengths, spread])
    y = np.concatenate([seconds, prior.of(spread)])
    slope, start = np.polyfit(x, y, 1, w=1 / np.maximum(before.of(x), 1e-3))
    if slope < 0:
        return PassCost(max(float(y.mean()), 0.0), 0.0)
    if start < 0:
        return PassCost(0.0, float((x * y).sum() / (x * x).sum()))
    return PassCost(float(start), float(slope))
