"""Random sampling with equal probabilities."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ConfigError, UsageError
from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from strategies._distance import Rows


@dataclass(frozen=True, slots=True)
class UniformOptions:
    """Options of `uniform`."""

    per: str = ""
    """`speaker` or `video`: each gets its share of the batch, within one sample; empty: simple random
    draws."""


@strategy("uniform")
class Uniform:
    """Random draws with equal probabilities: the baseline of every other strategy.

    Draws at random. With `per` = `speaker` or `video`, which then have to be known, each speaker or video
    gets its share of the batch, within one sample, by systematic sampling (Madow 1949). Every sample
    keeps the inclusion probability k / n, which is stored.
    """

    Options = UniformOptions
    needs: frozenset[Requirement] = frozenset()
    kinds = frozenset(Kind)

    def __init__(self, options: Any = None) -> None:
        """Raises `ConfigError` for an unknown kind of group."""
        self.options = options or self.Options()
        if self.options.per not in ("", "speaker", "video"):
            raise ConfigError(
                f"uniform cannot spread over {self.options.per!r}", hint="per = speaker, video, or nothing"
            )

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """`k` samples without replacement, all with score 0; the inclusion probability of each is k / n.

        Raises `UsageError` for groups that the pool does not have.
        """
        if self.options.per and self.options.per not in pool.groups:
            raise UsageError(f"the {self.options.per} of the samples is not known", hint="leave `per` empty")
        n, k = len(pool), min(k, len(pool))
        groups = pool.groups.get(self.options.per) if self.options.per else None
        chosen = rng.permutation(n)[:k] if groups is None else spread(groups, k, rng)
        return Selection(chosen.astype(np.intp), np.zeros(k), np.full(k, k / max(n, 1)))


def spread(groups: NDArray[np.intp], k: int, rng: np.random.Generator) -> Rows:
    """`k` positions; each group gets k times its share, rounded up or down at random.

    A systematic sample (Madow 1949): samples are lined up group by group, in random order, and every
    n / k-th one is taken from a random start.
    """
    n = len(groups)
    if not k:
        return np.zeros(0, dtype=np.intp)
    _, number = np.unique(groups, return_inverse=True)
    line = np.lexsort((rng.random(n), rng.permutation(number.max() + 1)[number]))
    steps = (rng.random() + np.arange(k)) * n / k
    return rng.permutation(line[np.minimum(steps.astype(np.intp), n - 1)])
