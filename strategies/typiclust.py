"""The most typical sample of each cluster without labels; made for the first labels."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from strategies._clusters import centres_of
from strategies._distance import Points, Rows, Wide, finite, gathered, nearest
from strategies._top import top

CLUSTERS = 500
"""Largest number of clusters."""
PIECE = 256
"""Samples per block."""
LEAST = 1e-6
"""Squared distance, as a share of both squared lengths, below which two samples are equal in float32."""
TINY = 5
"""Largest size of a cluster that is skipped while there are larger ones."""
NEIGHBOURS = 20
CORE = 2048
"""Samples of a larger cluster that are ranked: those nearest its centre, where the typical ones are."""


@strategy("typiclust")
class TypiClust:
    """The densest sample of each cluster, those without a label first (Hacohen, Dekel and Weinshall 2022).

    k-means makes as many clusters as there are labelled and asked samples plus the batch (at most 500),
    with centres from 256 samples each. The cluster with the fewest labelled or chosen samples gives the
    next one; among equals, the largest does. Within a cluster the score is 1 / mean distance to the 20
    nearest, among the 2048 samples nearest its centre. Clusters of up to five samples wait.
    """

    needs: frozenset[Requirement] = frozenset()
    kinds = frozenset(Kind)

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """At most `k` samples; scores fall evenly from 1.

        Raises `FeatureError` when an embedding is not a number.
        """
        points, labelled = finite(pool.embeddings), finite(pool.known.embeddings)
        k = min(k, len(points))
        if k == 0:
            return Selection(np.zeros(0, dtype=np.intp), np.zeros(0))
        centres = centres_of(points, min(CLUSTERS, k + len(labelled)), rng, pool.device)
        away, owner = nearest(points, centres, pool.device)
        covered = np.bincount(nearest(labelled, centres, pool.device)[1], minlength=len(centres))
        clusters = _Clusters(points, away, owner, covered, rng)
        return Selection(np.array([clusters.take() for _ in range(k)]), 1 - np.arange(k) / k)


class _Clusters:
    """Clusters whose members are taken most typical first; members are ordered when first needed."""

    def __init__(
        self, points: Points, away: NDArray[np.float32], owner: NDArray[np.int32],
        covered: NDArray[np.intp], rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self._points, self._away, self._rng = points, away, rng
        self._covered, self._left = covered, np.bincount(owner, minlength=len(covered))
        self._small = self._left <= TINY
        self._size = self._left.copy()
        self._members = np.argsort(owner, kind="stable")
        self._ends = np.append(0, np.cumsum(self._left))
        self._order: dict[int, Rows] = {}

    def take(self) -> int:
        """The position of the next sample of the batch."""
        keys = np.stack([self._left == 0, self._small, self._covered, -self._size])
        cluster = int(np.lexsort((self._rng.random(keys.shape[1]), *keys[::-1]))[0])
        if cluster not in self._order:
            members = self._members[self._ends[cluster] : self._ends[cluster + 1]]
            self._order[cluster] = self._most_typical_first(members)
        position = self._order[cluster][self._size[cluster] - self._left[cluster]]
        self._left[cluster] -= 1
        self._covered[cluster] += 1
        return int(position)

    def _most_typical_first(self, members: Rows) -> Rows:
        """All members: the core by typicality, then the others, nearest to the centre first."""
        inward = members[top(-self._away[members], len(members), self._rng)]
        core = inward[:CORE]
        scores = typicality(gathered(self._points, core))
        return np.append(core[top(scores, len(core), self._rng)], inward[CORE:])


def typicality(points: Points) -> Wide:
    """(n,) inverse of the mean distance to the nearest neighbours; very large for equal points."""
    count = min(NEIGHBOURS, len(points) - 1)
    if count < 1:
        return np.ones(len(points))
    distances = np.empty(len(points))
    points = points - points.mean(axis=0)
    sizes = np.einsum("nd,nd->n", points, points)
    for start in range(0, len(points), PIECE):
        rows = slice(start, start + PIECE)
        both = sizes[rows, None] + sizes
        gaps = points[rows] @ points.T
        gaps *= -2
        gaps += both
        gaps[gaps < LEAST * both] = 0
        gaps[np.arange(len(gaps)), np.arange(start, start + len(gaps))] = np.inf
        gaps.partition(count - 1, axis=1)
        distances[rows] = np.sqrt(gaps[:, :count]).mean(axis=1)
    return 1 / np.maximum(distances, np.finfo(np.float32).tiny)
