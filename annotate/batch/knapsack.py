"""Chooses single questions, (sample, pass) pairs, by expected gain per second of rater time."""

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
    """(n, passes) True where the question may still be asked."""
    gain: Grid
    """(n, passes) expected gain of the answer, never negative, in a unit that may be added."""
    seconds: Grid
    """(n, passes) time of all raters together, positive."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Questions about one sample that are asked together or not at all."""

    row: int
    passes: tuple[Modality, ...]
    density: float
    """Expected gain per second."""
    seconds: float


def bundles(offer: Offer) -> list[Bundle]:
    """The questions about every sample as bundles of falling density, which is the order to ask them in.

    The multimodal pass opens only after all others of its sample, so where its density is above that of the
    last of them, they form one bundle (pool adjacent violators: the upper hull of the gain of a sample over
    its time). To take bundles of all samples by falling density is then the linear relaxation of the
    knapsack problem, at most one bundle away from the optimum (Dantzig 1957).
    """
    result = []
    for row in np.flatnonzero(offer.free.any(axis=1)):
        blocks: list[tuple[list[int], float, float]] = []
        for column in _in_order(offer, int(row)):
            block = ([column], float(offer.gain[row, column]), float(offer.seconds[row, column]))
            while blocks and block[1] * blocks[-1][2] > blocks[-1][1] * block[2]:
                before = blocks.pop()
                block = (before[0] + block[0], before[1] + block[1], before[2] + block[2])
            blocks.append(block)
        result += [
            Bundle(int(row), tuple(offer.passes[c] for c in sorted(columns)), gain / seconds, seconds)
            for columns, gain, seconds in blocks
        ]
    return result


def _in_order(offer: Offer, row: int) -> list[int]:
    """Columns of the free questions about a sample: highest density first, the multimodal one last."""
    free = np.flatnonzero(offer.free[row])
    density = offer.gain[row] / offer.seconds[row]
    last = [offer.passes[c] is Modality.MULTIMODAL for c in range(len(offer.passes))]
    return sorted((int(c) for c in free), key=lambda c: (last[c], -density[c], c))


def fill_budget(
    available: Sequence[Bundle], rng: np.random.Generator, *, questions: int | None, seconds: float | None
) -> list[Bundle]:
    """Bundles of at most so many questions and so many seconds, those to ask first in front.

    They are drawn without replacement with probabilities proportional to their density, those of one sample
    in their order (Kirsch et al. 2021, "power"). The densest alone would all be of one pass, and would no
    longer be the densest after a few answers. A bundle that does not fit is left out. If all densities are
    zero, all bundles are equally likely.
    """
    density = np.array([bundle.density for bundle in available])
    keys = np.log(np.where(density > 0, density, density[density > 0].min(initial=1.0) * 1e-3))
    keys = keys + rng.gumbel(size=len(available))
    keys = _sorted_within_samples(available, keys)
    taken: list[Bundle] = []
    questions_left = np.inf if questions is None else questions
    seconds_left = np.inf if seconds is None else seconds
    blocked: set[int] = set()
    for position in np.argsort(-keys, kind="stable"):
        bundle = available[int(position)]
        if bundle.row in blocked:
            continue
        if len(bundle.passes) > questions_left or bundle.seconds > seconds_left:
            blocked.add(bundle.row)  # later bundles of the sample may depend on it
            continue
        taken.append(bundle)
        questions_left -= len(bundle.passes)
        seconds_left -= bundle.seconds
    return taken


def _sorted_within_samples(available: Sequence[Bundle], keys: NDArray[np.float64]) -> NDArray[np.float64]:
    """The keys of each sample sorted among its own bundles, so that a later one is never drawn first."""
    rows = np.array([bundle.row for bundle in available], dtype=np.intp)
    order = np.lexsort((-keys, rows))
    sorted_keys = np.empty_like(keys)
    # Bundles of one sample are neighbours and in their order.
    sorted_keys[np.argsort(rows, kind="stable")] = keys[order]
    return sorted_keys
