"""Covers as much of the pool as possible with balls of one radius; made for the first labels."""

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
"""Candidates, drawn at random from a larger pool; more if more than a quarter of them are asked for."""
SAMPLE = 32_768
"""Samples, drawn at random from a larger pool, that coverage is estimated on."""
PROBES = 2048
"""Balls whose purity is computed."""


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
        """Raises `ConfigError` for a `purity` outside (0, 1] or fewer than one cluster."""
        self.options = options or self.Options()
        if not 0 < self.options.purity <= 1 or self.options.kinds < 1:
            raise ConfigError(
                "probcover cannot find a radius with these options", hint="purity in (0, 1], kinds from 1"
            )

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Greedy; labelled samples cover their neighbourhood. Scores are the shares that are newly covered.

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
        """The squared radius. A ball is pure while its radius is below the distance to the next cluster."""
        owner = nearest(sample, centres_of(sample, self.options.kinds, rng, device), device)[1]
        foreign = next_clusters(sample, owner, min(PROBES, len(sample)), device)
        radius = float(np.quantile(foreign, 1 - self.options.purity, method="lower"))
        # With a single cluster: the mean squared distance from its mean.
        return radius if np.isfinite(radius) else float(sample.astype(np.float64).var(axis=0).sum())


def next_clusters(sample: Points, owner: NDArray[np.int32], count: int, device: str) -> NDArray[np.float32]:
    """(count,) squared distances of the first samples to the nearest of another cluster; infinite if none."""
    distances = np.full(count, np.inf, dtype=np.float32)
    for cluster in np.unique(owner[:count]):
        mine = np.flatnonzero(owner[:count] == cluster)
        distances[mine] = nearest(sample[mine], sample[owner != cluster], device)[0]
    return distances


def _balls(candidates: Points, sample: Points, size: float) -> NDArray[np.uint8]:
    """(candidates, sample / 8) bits: which points of the sample each ball holds."""
    middle = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    balls, around = candidates - middle, sample - middle
    sizes = np.einsum("nd,nd->n", around, around)
    bits = np.empty((len(balls), -(-len(sample) // 8)), dtype=np.uint8)
    for start in range(0, len(balls), 256):
        some = balls[start : start + 256]
        own = np.einsum("nd,nd->n", some, some)[:, None]
        gaps = own + sizes - 2 * some @ around.T
        # Distances that float32 cannot distinguish from 0 are inside.
        bits[start : start + 256] = np.packbits(gaps - 1e-6 * (own + sizes) <= size, axis=1)
    return bits


def _cover(
    balls: NDArray[np.uint8], free: NDArray[np.bool_], k: int, rng: np.random.Generator
) -> tuple[Rows, NDArray[np.float64]]:
    """`k` rows and how much each newly covers. Gains can only fall, so old ones are upper bounds (Minoux
    1978)."""
    left = np.packbits(free)
    gains = np.concatenate([_count(balls[rows] & left) for rows in blocks(len(balls))])
    updated_at, chosen, covered = np.zeros(len(balls), dtype=np.intp), np.empty(k, dtype=np.intp), np.empty(k)
    for count in range(k):
        while True:
            best = highest(gains, rng)
            if updated_at[best] == count:
                break
            gains[best] = _count(balls[best] & left)
            updated_at[best] = count
        chosen[count], covered[count] = best, gains[best]
        left &= ~balls[best]
        gains[best] = -np.inf
    return chosen, covered


def _count(bits: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.bitwise_count(bits).sum(axis=-1, dtype=np.float64)
