"""Finds samples that are nearly the same, so that nobody is asked twice about one thing."""

import numpy as np
from numpy.typing import NDArray

from strategies._distance import Points, Rows, blocks

DIRECTIONS = 2
NEIGHBOURS = 4
"""What lies together along a direction is compared with so many in front of it; with so many of the known on
either side."""


def deduplicate(points: Points, known: Points, near: float, rng: np.random.Generator) -> Rows:
    """Positions of one of (n, d) points per crowd of near-duplicates, ascending; none that is nearly the same
    as one of (m, d) known points.

    Nearly the same are two points nearer than `near` times the root mean square distance from the middle.
    Along a random line they lie side by side, so only neighbours there are compared: copies are found for
    certain, near ones unless many others lie between them. A crowd is what is near its first point on the
    line: what only a chain of others joins to it may be far away. Time and memory grow with n log n and n.
    """
    if near <= 0 or len(points) < 2:
        return np.arange(len(points))
    middle = np.concatenate([points, known]).mean(axis=0, dtype=np.float64).astype(np.float32)
    reach = near * np.sqrt((_square(points, middle) + _square(known, middle)) / (len(points) + len(known)))
    lines = [_direction(points.shape[1], rng) for _ in range(DIRECTIONS)]
    order = rng.permutation(len(points))
    crowd = np.arange(len(points))
    for line in lines:
        here, there = _along(points, middle, line), _along(known, middle, line)
        order = order[~_beside((points, here), (known, there), order, reach)]
        firsts = order[crowd[order] == order]
        crowd[firsts] = _first_of_crowd((points, here), firsts, reach)
        crowd = crowd[crowd]
    _, first = np.unique(crowd[order], return_index=True)
    return np.sort(order[first])


Placed = tuple[Points, NDArray[np.float32]]
"""(n, d) points and (n,) where they lie along a line."""


def _square(points: Points, middle: NDArray[np.float32]) -> float:
    """The sum of squared distances from the middle."""
    gaps = (points[rows] - middle for rows in blocks(len(points)))
    return sum(float(np.einsum("nd,nd->", gap, gap, dtype=np.float64)) for gap in gaps)


def _direction(width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    direction = rng.normal(size=width).astype(np.float32)
    return np.asarray(direction / max(float(np.linalg.norm(direction)), 1e-12))


def _along(points: Points, middle: NDArray[np.float32], line: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) counted from the middle: far from the origin float32 would not tell neighbours apart."""
    pieces = [(points[rows] - middle) @ line for rows in blocks(len(points))]
    return np.concatenate([np.zeros(0, np.float32), *pieces])


def _beside(pool: Placed, known: Placed, rows: Rows, reach: float) -> NDArray[np.bool_]:
    """(rows,) whether one of the known is within reach."""
    order = np.argsort(known[1], kind="stable")
    place = np.searchsorted(known[1][order], pool[1][rows])
    found = np.zeros(len(rows), bool)
    for step in range(-NEIGHBOURS, NEIGHBOURS):
        there = (place + step >= 0) & (place + step < len(order)) & ~found
        some = np.flatnonzero(there)
        found[some] = _within(pool, rows[some], known, order[place[some] + step], reach)
    return found


def _within(one: Placed, rows: Rows, other: Placed, theirs: Rows, reach: float) -> NDArray[np.bool_]:
    """(rows,) whether those of the one and those of the other, pair by pair, are no farther than `reach`."""
    found = np.abs(one[1][rows] - other[1][theirs]) <= reach
    close = np.flatnonzero(found)
    for some in blocks(len(close)):
        pairs = close[some]
        gap = one[0][rows[pairs]] - other[0][theirs[pairs]]
        found[pairs] = np.einsum("nd,nd->n", gap, gap) <= reach * reach
    return found


def _first_of_crowd(pool: Placed, rows: Rows, reach: float) -> Rows:
    """(rows,) the first along the line of the crowd of each, itself where it is alone."""
    order = np.argsort(pool[1][rows], kind="stable")
    line = rows[order]
    linked = [
        step + np.flatnonzero(_within(pool, line[step:], pool, line[:-step], reach))
        for step in range(1, min(NEIGHBOURS, len(line) - 1) + 1)
    ]
    first = np.arange(len(line))
    for place in np.unique(np.concatenate([*linked, first[:0]])).tolist():
        ahead = np.unique(first[max(place - NEIGHBOURS, 0) : place])
        gap = pool[0][line[ahead]] - pool[0][line[place]]
        near = np.flatnonzero(np.einsum("nd,nd->n", gap, gap) <= reach * reach)
        if len(near):
            first[place] = ahead[near[0]]
    found = np.empty(len(rows), dtype=np.intp)
    found[order] = line[first]
    return found
