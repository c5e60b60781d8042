"""Cover as much of the pool as possible with balls of one size: for the very first labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ConfigError
from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from strategies._clusters import centres_of
from strategies._distance import Points, Rows, blocks, finite, highest, nearest

CANDIDATES = 8192
"""Of a larger pool so many, drawn by chance, may be chosen; more where more than a quarter are asked for."""
SAMPLE = 32_768
"""Of a larger pool so many, drawn by chance, stand for what is covered."""
PROBES = 2048
"""Balls whose purity is looked at."""


@dataclass(frozen=True, slots=True)
class ProbCoverOptions:
    """Options of `probcover`."""

    kinds: int = 10
    """Clusters that represent classes when the radius is chosen."""
    purity: float = 0.95
    """Share of the balls that hold samples of one cluster only (α in the paper)."""


@strategy("probcover")
class ProbCover:
    """Balls around the chosen samples cover most of the uncovered pool (Yehuda, Dekel, Hacohen et al. 2022).

    The score is the share of the pool within one radius that no labelled or chosen sample covers. The
    radius is the one at which a share `purity` (0.95) of the balls hold samples of one of `kinds` (10)
    clusters only. In a larger pool, 8192 samples (at least four for each of the batch), drawn at random,
    are candidates, and 32 768 stand for what is covered.
    """

    Options = ProbCoverOptions
    needs: frozenset[Requirement] = frozenset()
    kinds = frozenset(Kind)

    def __init__(self, options: Any = None) -> None:
        """Raises `ConfigError` for a share above 1 or no cluster at all."""
        self.options = options or self.Options()
        if not 0 < self.options.purity <= 1 or self.options.kinds < 1:
            raise ConfigError("probcover finds no size for its balls", hint="purity in (0, 1], kinds from 1")

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Greedy; what labelled samples cover counts as covered. Scores are the shares newly covered.

        The radius is the largest at which a share `purity` of the balls hold samples of one cluster only.
        Raises `FeatureError` when an embedding is not a number.
        """
        points, labelled = finite(pool.embeddings), finite(pool.known.embeddings)
        k = min(k, len(points))
        if k == 0:
            return Selection(np.zeros(0, dtype=np.intp), np.zeros(0))
        drawn = rng.permutation(len(points))
        candidates, sample = drawn[: max(CANDIDATES, 4 * k)], points[drawn[:SAMPLE]]
        size = self._radius(sample, rng, pool.device)
        free = nearest(sample, labelled, pool.device)[0] > size
        chosen, gains = _cover(_balls(points[candidates], sample, size), free, k, rng)
        return Selection(candidates[chosen], gains / len(sample))

    def _radius(self, sample: Points, rng: np.random.Generator, device: str) -> float:
        """Squared. A ball is pure while its radius is below the distance to the next cluster's nearest."""
        owner = nearest(sample, centres_of(sample, self.options.kinds, rng, device), device)[1]
        foreign = next_clusters(sample, owner, min(PROBES, len(sample)), device)
        found = float(np.quantile(foreign, 1 - self.options.purity, method="lower"))
        return found if np.isfinite(found) else _typical(sample)


def next_clusters(sample: Points, owner: NDArray[np.int32], count: int, device: str) -> NDArray[np.float32]:
    """(count,) squared distance of the first so many to the nearest of another cluster; infinite without."""
    found = np.full(count, np.inf, dtype=np.float32)
    for cluster in np.unique(owner[:count]):
        mine = np.flatnonzero(owner[:count] == cluster)
        found[mine] = nearest(sample[mine], sample[owner != cluster], device)[0]
    return found


def _typical(sample: Points) -> float:
    """Of a single cluster: the mean squared distance from its middle."""
    return float(sample.astype(np.float64).var(axis=0).sum())


def _balls(candidates: Points, sample: Points, size: float) -> NDArray[np.uint8]:
    """(candidates, sample / 8) bits: which of the sample each ball holds."""
    middle = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    balls, around = candidates - middle, sample - middle
    sizes = np.einsum("nd,nd->n", around, around)
    found = np.empty((len(balls), -(-len(sample) // 8)), dtype=np.uint8)
    for start in range(0, len(balls), 256):
        some = balls[start : start + 256]
        own = np.einsum("nd,nd->n", some, some)[:, None]
        gaps = own + sizes - 2 * some @ around.T
        # What float32 cannot tell from 0 is inside.
        found[start : start + 256] = np.packbits(gaps - 1e-6 * (own + sizes) <= size, axis=1)
    return found


def _cover(
    balls: NDArray[np.uint8], free: NDArray[np.bool_], k: int, rng: np.random.Generator
) -> tuple[Rows, NDArray[np.float64]]:
    """`k` rows and how much each covers that was free. A gain can only fall, so an old one is an upper bound
    (Minoux 1978)."""
    left = np.packbits(free)
    gains = np.concatenate([_count(balls[rows] & left) for rows in blocks(len(balls))])
    seen, chosen, found = np.zeros(len(balls), dtype=np.intp), np.empty(k, dtype=np.intp), np.empty(k)
    for count in range(k):
        while True:
            best = highest(gains, rng)
            if seen[best] == count:
                break
            gains[best] = _count(balls[best] & left)
            seen[best] = count
        chosen[count], found[count] = best, gains[best]
        left &= ~balls[best]
        gains[best] = -np.inf
    return chosen, found


def _count(bits: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.bitwise_count(bits).sum(axis=-1, dtype=np.float64)
