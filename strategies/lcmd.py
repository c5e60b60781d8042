"""Largest cluster, maximum distance: dense regions get their share, outliers do not get all."""

import numpy as np

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from strategies._distance import Points, Rows, finite, middlemost, nearest
from strategies._largest import Clusters


@strategy("lcmd")
class Lcmd:
    """Farthest sample of the largest cluster, labelled ones as first centres (Holzmüller et al. 2023).

    Each sample belongs to the cluster of the nearest labelled, asked or chosen sample. Repeatedly takes
    the farthest sample of the cluster with the largest sum of squared distances.
    """

    needs: frozenset[Requirement] = frozenset()
    kinds = frozenset(Kind)

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Exact LCMD-TP; scores fall evenly from 1.

        With nothing labelled it starts at the sample nearest the mean. Raises `FeatureError` when an
        embedding is not a number.
        """
        points, labelled = finite(pool.embeddings), finite(pool.known.embeddings)
        k = min(k, len(points))
        chosen = largest_first(points, labelled, k, rng, pool.device)
        return Selection(chosen, 1 - np.arange(k) / max(k, 1))


def largest_first(
    points: Points, labelled: Points, k: int, rng: np.random.Generator, device: str = "cpu"
) -> Rows:
    """`k` positions by LCMD-TP, with the labelled points as the first centres."""
    if k == 0:
        return np.zeros(0, dtype=np.intp)
    first = [] if len(labelled) else [middlemost(points, rng)]
    gaps, owner = nearest(points, points[first] if first else labelled, device)
    clusters = Clusters(points, gaps, owner, rng)
    for position in first:
        clusters.claim(position)
    return np.array(first + [clusters.split() for _ in range(k - len(first))], dtype=np.intp)
