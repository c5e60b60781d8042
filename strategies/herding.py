"""A small picture of the pool: what is asked resembles all there is, dense places first."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Need, Pool, Selection
from strategies._distance import finite, squared, squared_blocks

REFERENCE = 2048
"""Samples that stand for all when a mean over the whole pool is taken."""
WIDTH = 0.25
"""Of the kernel, as a share of the median squared distance. See benchmarks/cold_start.py."""


@strategy("herding")
class Herding:
    """Most like the pool, least like what was asked: a few stand for all (Chen, Welling and Smola 2010)."""

    needs: frozenset[Need] = frozenset()
    kinds = frozenset(Kind)

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Greedy; scores fall evenly from 1. Raises `FeatureError` when an embedding is not a number."""
        k = min(k, len(pool))
        if k == 0:
            return Selection(np.zeros(0, dtype=np.intp), np.zeros(0))
        # Shuffled, because `argmax` takes the first of equals.
        order = rng.permutation(len(pool))
        points, labelled = finite(pool.embeddings[order]), finite(pool.known.embeddings)
        everything = np.concatenate([points, labelled])
        reference = everything[rng.permutation(len(everything))[:REFERENCE]]
        width = _width(reference)
        wanted = _similarity(points, reference, width) / len(reference)
        chosen = _herd(points, wanted, _similarity(points, labelled, width), len(labelled), width, k)
        return Selection(order[chosen].astype(np.intp), 1 - np.arange(k) / k)


def _width(reference: NDArray[np.float32]) -> float:
    gaps = np.concatenate([block.ravel() for _, block in squared_blocks(reference, reference)])
    # Equal samples are not exactly 0 apart after rounding.
    apart = gaps[gaps > 1e-9 * gaps.max()]
    return WIDTH * float(np.median(apart)) if len(apart) else 1.0


def _similarity(
    points: NDArray[np.float32], centres: NDArray[np.float32], width: float
) -> NDArray[np.float64]:
    """(n,) sum of the Gaussian kernel between each point and all centres."""
    total = np.zeros(len(points))
    for rows, gaps in squared_blocks(points, centres):
        total[rows] += np.exp(-gaps / width).sum(axis=1)
    return total


def _herd(
    points: NDArray[np.float32], wanted: NDArray[np.float64], near: NDArray[np.float64],
    asked: int, width: float, k: int,
) -> list[int]:  # fmt: skip
    """`k` positions, each the one that the samples asked so far represent worst for its weight.

    `wanted` is the mean similarity to the pool, `near` the summed similarity to the `asked` samples.
    """
    free = np.zeros(len(points))
    chosen: list[int] = []
    for count in range(asked, asked + k):
        new = int(np.argmax(wanted - near / (count + 1) + free))
        near = near + np.exp(-squared(points, points[new]) / width)
        free[new] = -np.inf
        chosen.append(new)
    return chosen
