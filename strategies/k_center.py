"""Core-set: always the sample farthest from everything asked so far."""

import numpy as np

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from strategies._distance import Points, Rows, Wide, finite, middlemost, nearest, squared, squared_between
from strategies._farthest import farthest_first


@strategy("k-center")
class KCenter:
    """Farthest from all that is labelled or chosen, so that the pool is covered (Sener and Savarese 2018).

    Repeatedly takes the sample that is farthest from the nearest labelled, asked or chosen sample. With
    nothing labelled it starts with the sample nearest the mean.
    """

    needs: frozenset[Requirement] = frozenset()
    kinds = frozenset(Kind)

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Exact greedy; the score is the distance to the nearest labelled or chosen sample.

        With nothing labelled it starts at the sample nearest the mean, whose score is the distance to
        the farthest sample. Raises `FeatureError` when an embedding is not a number.
        """
        points, labelled = finite(pool.embeddings), finite(pool.known.embeddings)
        k = min(k, len(points))
        if k == 0:
            return Selection(np.zeros(0, dtype=np.intp), np.zeros(0))
        if len(labelled):
            gaps, _ = nearest(points, labelled, pool.device)
            chosen, scores = _cover(points, gaps.astype(np.float64), k, rng)
        else:
            chosen, scores = _cover_from_the_middle(points, k, rng)
        return Selection(chosen, np.sqrt(scores))


def _cover(points: Points, gaps: Wide, k: int, rng: np.random.Generator) -> tuple[Rows, Wide]:
    return farthest_first(gaps, lambda rows, some: squared_between(points[rows], points[some]), k, rng)


def _cover_from_the_middle(points: Points, k: int, rng: np.random.Generator) -> tuple[Rows, Wide]:
    first = middlemost(points, rng)
    gaps = squared(points, points[first]).astype(np.float64)
    farthest = gaps.max()
    gaps[first] = -np.inf
    chosen, scores = _cover(points, gaps, k - 1, rng)
    return np.append(first, chosen), np.append(farthest, scores)
