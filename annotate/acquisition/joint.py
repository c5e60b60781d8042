"""Chooses single questions, (sample, pass) pairs, by what they are worth for the time they take."""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from annotate.types import Modality

Grid = NDArray[np.float64]
"""(n, passes)"""
FEWEST = 10.0
"""Labels below which nobody knows the shape of a learning curve: fewer count as so many."""
NOTHING = 1e-3
"""Of the least density above zero: that of what is worth nothing."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be asked of n samples in some passes, in the order of the protocol."""

    passes: tuple[Modality, ...]
    free: NDArray[np.bool_]
    """(n, passes) True where the question is still to be asked."""
    worth: Grid
    """(n, passes) share of the error that is left of the tasks of a pass, spread over the samples by what the
    answers would tell; never below 0."""
    seconds: Grid
    """(n, passes) of all its raters together, above 0."""
    labels: NDArray[np.float64]
    """(passes,) samples that are labelled or asked in each."""


@dataclass(frozen=True, slots=True)
class Step:
    """Questions of one sample that are asked together or not at all."""

    row: int
    passes: tuple[Modality, ...]
    density: float
    """What they are worth per second, at the moment when they were chosen."""
    seconds: float


def spend(
    offer: Offer, rng: np.random.Generator, *, questions: int | None, seconds: float | None
) -> list[Step]:
    """Steps for at most so many questions and so many seconds, those to ask first in front.

    Again and again the step that is worth most per second, as it is after those before. The error of a task
    that n samples are labelled of falls like 1 / n (Amari, Fujita and Shinomoto 1992), so what k questions
    leave of the worth of the next one is n / (n + k)², and a pass with few labels comes before one with many.
    The multimodal pass of a sample opens only after all others, so it is one step together with those that
    are still to be asked, and comes up by what it is worth with as many of them as it is denser than (pool
    adjacent violators: the rest would be asked before it anyway). What no longer fits is passed over.

    Steps are drawn by chances in proportion to that (Kirsch et al. 2021, "power"): the samples that tell most
    tell much the same. With nothing to tell them apart all are alike.
    """
    left_questions = np.inf if questions is None else questions
    left_seconds = np.inf if seconds is None else seconds
    queue = _Queue(offer, rng)
    taken: list[Step] = []
    for step, columns in queue:
        if len(columns) <= left_questions and step.seconds <= left_seconds:
            taken.append(step)
            queue.take(step.row, columns)
            left_questions -= len(columns)
            left_seconds -= step.seconds
        if left_questions < 1:
            break
    return taken


class _Queue:
    """All steps, the best first; what was taken makes others of its pass worth less."""

    def __init__(self, offer: Offer, rng: np.random.Generator) -> None:
        self.offer = offer
        self.free = offer.free.copy()
        self.labels = np.maximum(offer.labels, FEWEST)
        self.asked = np.zeros(len(offer.passes))
        self.luck = rng.gumbel(size=offer.free.shape)
        density = (offer.worth * self._share() / offer.seconds)[offer.free]
        self.least = float(density[density > 0].min(initial=np.inf)) * NOTHING
        self.least = self.least if np.isfinite(self.least) else 1.0
        rows, columns = np.nonzero(offer.free)
        self.heap = [self._entry(int(r), int(c)) for r, c in zip(rows, columns, strict=True)]
        heapify(self.heap)

    def __iter__(self) -> Iterator[tuple[Step, list[int]]]:
        """What comes up was either taken since it was put in, or is worth less by now, or is the best."""
        while self.heap:
            key, row, column = heappop(self.heap)
            if not self.free[row, column]:
                continue
            entry = self._entry(row, column)
            if entry[0] > key + 1e-12:
                heappush(self.heap, entry)
                continue
            yield self._step(row, column)

    def take(self, row: int, columns: list[int]) -> None:
        """Ask these questions of a sample; what opens now may be worth more than before."""
        self.free[row, columns] = False
        self.asked[columns] += 1
        last = len(self.offer.passes) - 1
        if self.offer.passes[last] is Modality.MULTIMODAL and self.free[row, last]:
            heappush(self.heap, self._entry(row, last))

    def _share(self) -> NDArray[np.float64]:
        """(passes,) what is left of the worth of a question."""
        return np.asarray(self.labels / (self.labels + self.asked) ** 2)

    def _entry(self, row: int, column: int) -> tuple[float, int, int]:
        density = max(self._density(row, column), self.least)
        return -float(np.log(density) + self.luck[row, column]), row, column

    def _density(self, row: int, column: int) -> float:
        """What a question is worth per second; the multimodal one with the others that it lifts."""
        worth, seconds = self.offer.worth[row] * self._share(), self.offer.seconds[row]
        total, time = float(worth[column]), float(seconds[column])
        if self.offer.passes[column] is Modality.MULTIMODAL:
            others = [c for c in np.flatnonzero(self.free[row]).tolist() if c != column]
            for c in sorted(others, key=lambda c: worth[c] / seconds[c]):
                if total * seconds[c] > worth[c] * time:
                    total, time = total + float(worth[c]), time + float(seconds[c])
        return total / time

    def _step(self, row: int, column: int) -> tuple[Step, list[int]]:
        offer = self.offer
        together = offer.passes[column] is Modality.MULTIMODAL
        columns = np.flatnonzero(self.free[row]).tolist() if together else [column]
        seconds = float(offer.seconds[row, columns].sum())
        worth = float((offer.worth[row] * self._share())[columns].sum())
        return Step(row, tuple(offer.passes[c] for c in columns), worth / seconds, seconds), columns
