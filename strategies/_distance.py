"""Distances between points, block by block, so that a million of them need no square matrix."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from annotate.errors import FeatureError
from strategies._device import device_of

BLOCK = 16384
"""Rows per block."""
CENTRES = 1024
"""Columns per block."""
FARTHEST = 1e15
"""Largest coordinate; the squares of larger ones do not fit into float32."""
Points = NDArray[np.float32]
Rows = NDArray[np.intp]
Wide = NDArray[np.float64]


def blocks(n: int) -> Iterator[slice]:
    """Slices that cover rows 0 to n in order."""
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))


def finite(points: Points) -> Points:
    """The same points.

    Raises `FeatureError` when a coordinate is not a number, or too large for distances.
    """
    for rows in blocks(len(points)):
        block = points[rows]
        if block.max(initial=0) <= FARTHEST and block.min(initial=0) >= -FARTHEST:  # False for NaN
            continue
        raise FeatureError(
            "some embeddings are not numbers, or far too large",
            hint="make the features and the model again: `annotate extract`, then `annotate train --force`",
        )
    return points


def nearest(
    points: Points, centres: Points, device: str = "cpu"
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """(n,) squared distance of (n, d) points to the nearest of (m, d) centres, and (n,) its index.

    Infinite and -1 when m is 0. A matrix product finds the nearest centre; the distance is then computed from
    the difference, which is exactly 0 for equal points and precise far from the origin. If some centres lie
    ten thousand times as far apart as others, float32 may choose another near centre.
    """
    gaps = np.full(len(points), np.inf, dtype=np.float32)
    owner = np.full(len(points), -1, dtype=np.int32)
    if not len(centres):
        return gaps, owner
    there = device_of(device)
    middle = centres.mean(axis=0, dtype=np.float64).astype(np.float32)
    moved = [there.move(centres[i : i + CENTRES] - middle) for i in range(0, len(centres), CENTRES)]
    halves = [(some * some).sum(1) / 2 for some in moved]
    for rows in blocks(len(points)):
        block = there.move(points[rows] - middle)
        for number, (some, half) in enumerate(zip(moved, halves, strict=True)):
            product = block @ some.T
            product -= half
            best = product.argmax(1)
            apart = block - some[best]
            apart *= apart
            distances = there.back(apart.sum(1))
            nearer = distances < gaps[rows]
            gaps[rows][nearer] = distances[nearer]
            owner[rows][nearer] = there.back(best)[nearer] + number * CENTRES
    return gaps, owner


def squared(points: Points, centre: Points, rows: Rows | None = None) -> NDArray[np.float32]:
    """(n,) squared distance of (n, d) points, or of these rows of them, to a centre; exactly 0 if equal."""
    gaps = np.empty(len(points) if rows is None else len(rows), dtype=np.float32)
    for some in blocks(len(gaps)):
        apart = (points[some] if rows is None else gathered(points, rows[some])) - centre
        gaps[some] = np.einsum("nd,nd->n", apart, apart)
    return gaps


def gathered(points: Points, rows: Rows) -> Points:
    """(r, d) the same as ``points[rows]``, in half the time."""
    return np.take(points, rows, axis=0, mode="clip")


def squared_between(points: Points, others: Points) -> Wide:
    """(n, m) squared distances between a few points; exactly 0 for equal points."""
    points, others = points.astype(np.float64), others.astype(np.float64)
    both = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    gaps = both - 2 * points @ others.T
    return np.where(gaps > 1e-13 * both, gaps, 0.0)


def middlemost(points: Points, rng: np.random.Generator) -> int:
    """Position of the point nearest the mean; ties are broken at random."""
    total = sum(points[rows].sum(axis=0, dtype=np.float64) for rows in blocks(len(points)))
    gaps = squared(points, np.asarray(total / len(points), dtype=np.float32))
    return highest(-gaps, rng)


def highest(values: NDArray[np.floating], rng: np.random.Generator) -> int:
    """Position of the largest value; ties are broken at random."""
    return int(rng.choice(np.flatnonzero(values == values.max())))
