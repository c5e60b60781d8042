"""Finds samples that are nearly the same, so that nobody is asked twice about one thing."""

import numpy as np
from numpy.typing import NDArray

DIRECTIONS = 2
NEIGHBOURS = 4
"""What lies together along a direction is compared with so many that follow."""
BLOCK = 65_536


def distinct(
    points: NDArray[np.float32], known: NDArray[np.float32], near: float, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Positions of one of (n, d) points per crowd of near-duplicates, ascending; none of a crowd that holds
    one of (m, d) known points.

    Nearly the same are two points nearer than `near` times the root mean square distance from the middle.
    Along a random line they lie side by side, so only neighbours there are compared: copies are found for
    certain, near ones unless many others lie between them. Time and memory grow with n log n and n.
    """
    if near <= 0 or len(points) < 2:
        return np.arange(len(points))
    together = np.concatenate([points, known]) if len(known) else points
    crowd = _crowds(together, near, rng)
    order = rng.permutation(len(points))
    _, first = np.unique(crowd[order], return_index=True)
    kept = order[first]
    return np.sort(kept[~np.isin(crowd[kept], crowd[len(points) :])])


def _crowds(points: NDArray[np.float32], near: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """(n,) the same number for points that hang together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    middle = points.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = np.sqrt(_mean_square(points, middle))
    links = [_links(points, middle, near * spread, rng) for _ in range(DIRECTIONS)]
    first, second = (np.concatenate([link[side] for link in links]) for side in (0, 1))
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(points),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.intp)


def _mean_square(points: NDArray[np.float32], middle: NDArray[np.float32]) -> float:
    total = 0.0
    for start in range(0, len(points), BLOCK):
        gap = points[start : start + BLOCK] - middle
        total += float(np.einsum("nd,nd->", gap, gap, dtype=np.float64))
    return total / len(points)


def _links(
    points: NDArray[np.float32], middle: NDArray[np.float32], reach: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of neighbours along one random line that are nearer than `reach`."""
    direction = rng.normal(size=points.shape[1]).astype(np.float32)
    direction /= max(float(np.linalg.norm(direction)), 1e-12)
    along = points @ direction
    order = np.argsort(along, kind="stable")
    firsts, seconds = [], []
    for step in range(1, min(NEIGHBOURS, len(points) - 1) + 1):
        one, other = order[:-step], order[step:]
        close = np.flatnonzero(along[other] - along[one] <= reach)
        for start in range(0, len(close), BLOCK):
            a, b = one[close[start : start + BLOCK]], other[close[start : start + BLOCK]]
            gap = points[a] - points[b]
            hit = np.einsum("nd,nd->n", gap, gap) <= reach * reach
            firsts.append(a[hit])
            seconds.append(b[hit])
    return np.concatenate([*firsts, order[:0]]), np.concatenate([*seconds, order[:0]])
