"""The cost of a question: seconds of a rater's time, by pass and length of the clip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.types import Modality
from db.batches import Candidate

PRIOR_QUESTIONS = 2
"""Number of answers that weigh as much as the settings, which may well be wrong by a factor of two, while
raters differ by a third."""
INTERRUPTED = 5.0
"""A rater who took this many times as long as expected was interrupted: the answer is left out."""
ROUNDS = 5
"""Iterations of the fit."""


@dataclass(frozen=True, slots=True)
class PassCost:
    """Cost of one question of a pass. Its clip is played once for all dimensions together."""

    fixed: float
    """Seconds for any clip."""
    rate: float
    """Additional seconds for each second of the clip."""

    def of(self, lengths: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) seconds of one rater for clips of (n,) seconds."""
        return self.fixed + self.rate * lengths


Costs = Mapping[Modality, PassCost]


@dataclass(frozen=True, slots=True)
class LeadTime:
    """The time that one rater took for one question, as Label Studio measured it."""

    modality: Modality
    clip_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class CostModel:
    """The cost of the questions about the samples of a pool."""

    costs: Costs
    clip_seconds: Mapping[str, float]
    """By sample id."""
    raters: int
    """How many people answer each question."""

    def seconds(self, candidate: Candidate) -> float:
        """Time of all raters together for everything that is asked of a sample."""
        return float(sum(self.grid([candidate], candidate.offered)[0]))

    def mean_seconds(self, candidates: Sequence[Candidate]) -> float:
        """Mean of `seconds` over the candidates."""
        passes = [m for m in Modality if m in self.costs]
        grid = self.grid(candidates, passes)
        total = np.zeros(len(candidates))
        for column, modality in enumerate(passes):
            offered = np.array([modality in c.offered for c in candidates], dtype=bool)
            total += np.where(offered, grid[:, column], 0.0)
        return float(np.mean(total))

    def grid(self, candidates: Sequence[Candidate], passes: Sequence[Modality]) -> NDArray[np.float64]:
        """(n, passes) seconds of all raters together, whether or not the question may be asked."""
        lengths = np.array([self.clip_seconds[c.sample_id] for c in candidates], dtype=float)
        return self.raters * np.stack([self.costs[p].of(lengths) for p in passes], axis=1)


def learn(prior: Costs, answers: Sequence[LeadTime]) -> dict[Modality, PassCost]:
    """`prior`, updated pass by pass with the times that raters took: a line fitted by least squares.

    Neither number gets negative. A pass without answers keeps its prior.
    """
    return {m: _fit(cost, [t for t in answers if t.modality is m]) for m, cost in prior.items()}


def _fit(prior: PassCost, answers: Sequence[LeadTime]) -> PassCost:
    lengths = np.array([t.clip_seconds for t in answers], dtype=float)
    seconds = np.array([t.seconds for t in answers], dtype=float)
    usable = np.isfinite(lengths) & np.isfinite(seconds) & (seconds > 0) & (lengths >= 0)
    lengths, seconds = lengths[usable], seconds[usable]
    if not len(seconds):
        return prior
    cost = PassCost(float(np.median(seconds)), 0.0)
    for _ in range(ROUNDS):
        kept = seconds <= INTERRUPTED * np.maximum(cost.of(lengths), np.median(seconds))
        cost = _line(prior, lengths[kept], seconds[kept], cost)
    return cost


def _line(
    prior: PassCost, lengths: NDArray[np.float64], seconds: NDArray[np.float64], before: PassCost
) -> PassCost:
    """Weighted least squares, with `PRIOR_QUESTIONS` pseudo-observations on the prior's line.

    Errors grow with the duration, so each counts relative to the estimate `before`.
    """
    spread = np.linspace(0.5, 1.5, PRIOR_QUESTIONS) * (lengths.mean() or 1.0)
    x = np.concatenate([lengths, spread])
    y = np.concatenate([seconds, prior.of(spread)])
    slope, start = np.polyfit(x, y, 1, w=1 / np.maximum(before.of(x), 1e-3))
    if slope < 0:
        return PassCost(max(float(y.mean()), 0.0), 0.0)
    if start < 0:
        return PassCost(0.0, float((x * y).sum() / (x * x).sum()))
    return PassCost(float(start), float(slope))
