"""Finds samples that are nearly the same, so that nobody is asked twice about one thing."""

import numpy as np
from numpy.typing import NDArray

from strategies._distance import Points, Rows, blocks

DIRECTIONS = 2
NEIGHBOURS = 4
"""How many points in front of it along a line each point is compared with; labelled points: on either
side."""


def deduplicate(points: Points, known: Points, near: float, rng: np.random.Generator) -> Rows:
    """Positions of one of (n, d) points per group of near-duplicates, ascending, without near-duplicates of
    the (m, d) known points.

    Two points are near-duplicates if they are closer than `near` times the root mean square distance from the
    mean. Near-duplicates lie side by side along a random line, so only neighbours along two such lines are
    compared: exact copies are always found, near ones unless many others lie between them. A group holds what
    is near its first point along the line, not what a chain of others connects to it. Time grows with n log
    n, memory with n.
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
"""(n, d) points and (n,) their coordinates along a line."""


def _square(points: Points, middle: NDArray[np.float32]) -> float:
    """The sum of squared distances from the middle."""
    gaps = (points[rows] - middle for rows in blocks(len(points)))
    return sum(float(np.einsum("nd,nd->", gap, gap, dtype=np.float64)) for gap in gaps)


def _direction(width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    direction = rng.normal(size=width).astype(np.float32)
    return np.asarray(direction / max(float(np.linalg.norm(direction)), 1e-12))


def _along(points: Points, middle: NDArray[np.float32], line: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) coordinates relative to the middle: far from the origin, float32 could not separate neighbours."""
    pieces = [(points[rows] - middle) @ line for rows in blocks(len(points))]
    return np.concatenate([np.zeros(0, np.float32), *pieces])


def _beside(pool: Placed, known: Placed, rows: Rows, reach: float) -> NDArray[np.bool_]:
    """(rows,) whether a known point is within reach."""
    order = np.argsort(known[1], kind="stable")
    place = np.searchsorted(known[1][order], pool[1][rows])
    beside = np.zeros(len(rows), bool)
    for step in range(-NEIGHBOURS, NEIGHBOURS):
        there = (place + step >= 0) & (place + step < len(order)) & ~beside
        some = np.flatnonzero(there)
        beside[some] = _within(pool, rows[some], known, order[place[some] + step], reach)
    return beside


def _within(one: Placed, rows: Rows, other: Placed, theirs: Rows, reach: float) -> NDArray[np.bool_]:
    """(rows,) whether the points of each pair are at most `reach` apart."""
    within = np.abs(one[1][rows] - other[1][theirs]) <= reach
    close = np.flatnonzero(within)
    for some in blocks(len(close)):
        pairs = close[some]
        gap = one[0][rows[pairs]] - other[0][theirs[pairs]]
        within[pairs] = np.einsum("nd,nd->n", gap, gap) <= reach * reach
    return within


def _first_of_crowd(pool: Placed, rows: Rows, reach: float) -> Rows:
    """(rows,) the first point, along the line, of the group of each point; the point itself if it is
    alone."""
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
    firsts = np.empty(len(rows), dtype=np.intp)
    firsts[order] = line[first]
    return firsts
