"""Chooses single questions, (sample, pass) pairs, by what they are worth for the time they take."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.types import Modality

Grid = NDArray[np.float64]
"""(n, passes)"""


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be asked of n samples in some passes, in the order of the protocol."""

    passes: tuple[Modality, ...]
    free: NDArray[np.bool_]
    """(n, passes) True where the question is still to be asked."""
    worth: Grid
    """(n, passes) what the answer would tell, never below 0, in a unit that may be added."""
    seconds: Grid
    """(n, passes) of all its raters together, above 0."""


@dataclass(frozen=True, slots=True)
class Step:
    """Questions of one sample that are asked together or not at all."""

    row: int
    passes: tuple[Modality, ...]
    density: float
    """What they are worth per second."""
    seconds: float


def steps(offer: Offer) -> list[Step]:
    """Every sample's questions as steps of falling density, which is the order to ask them in.

    The multimodal pass opens only after all others of its sample, so where it is worth more per second than
    the last of them, it is one step together with them (pool adjacent violators: the upper hull of what a
    sample can give for its time). To take steps of all samples by falling density then is the linear
    relaxation of the knapsack, at most one step away from the best (Dantzig 1957).
    """
    found = []
    for row in np.flatnonzero(offer.free.any(axis=1)):
        blocks: list[tuple[list[int], float, float]] = []
        for column in _in_order(offer, int(row)):
            block = ([column], float(offer.worth[row, column]), float(offer.seconds[row, column]))
            while blocks and block[1] * blocks[-1][2] > blocks[-1][1] * block[2]:
                before = blocks.pop()
                block = (before[0] + block[0], before[1] + block[1], before[2] + block[2])
            blocks.append(block)
        found += [
            Step(int(row), tuple(offer.passes[c] for c in sorted(columns)), worth / seconds, seconds)
            for columns, worth, seconds in blocks
        ]
    return found


def _in_order(offer: Offer, row: int) -> list[int]:
    """Columns of a sample's free questions: densest first, the multimodal one behind the others."""
    free = np.flatnonzero(offer.free[row])
    density = offer.worth[row] / offer.seconds[row]
    last = [offer.passes[c] is Modality.MULTIMODAL for c in range(len(offer.passes))]
    return sorted((int(c) for c in free), key=lambda c: (last[c], -density[c], c))


def spend(
    found: Sequence[Step], rng: np.random.Generator, *, questions: int | None, seconds: float | None
) -> list[Step]:
    """Steps for at most so many questions and so many seconds, those to ask first in front.

    They are drawn without replacement by chances in proportion to their density, sample by sample in their
    order (Kirsch et al. 2021, "power"): the densest alone would all be of one pass, and after some answers
    it would be the densest no more. What no longer fits is passed over. With nothing to tell them apart
    all are alike.
    """
    density = np.array([step.density for step in found])
    keys = np.log(np.where(density > 0, density, density[density > 0].min(initial=1.0) * 1e-3))
    keys = keys + rng.gumbel(size=len(found))
    keys = _falling_within_samples(found, keys)
    taken: list[Step] = []
    left_questions = np.inf if questions is None else questions
    left_seconds = np.inf if seconds is None else seconds
    blocked: set[int] = set()
    for position in np.argsort(-keys, kind="stable"):
        step = found[int(position)]
        if step.row in blocked:
            continue
        if len(step.passes) > left_questions or step.seconds > left_seconds:
            blocked.add(step.row)  # what comes behind it may need it
            continue
        taken.append(step)
        left_questions -= len(step.passes)
        left_seconds -= step.seconds
    return taken


def _falling_within_samples(found: Sequence[Step], keys: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each sample's keys sorted among its own steps: what comes later in a sample is never drawn before."""
    rows = np.array([step.row for step in found], dtype=np.intp)
    order = np.lexsort((-keys, rows))
    sorted_keys = np.empty_like(keys)
    # Steps of one sample stand together and in their order.
    sorted_keys[np.argsort(rows, kind="stable")] = keys[order]
    return sorted_keys
