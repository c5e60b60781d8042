"""Base for strategies that draw a batch at random, weighted by the scores of another strategy."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from annotate.types import Pool, Selection
from strategies._ensemble import Scores
from strategies._top import top
from strategies._wrapper import WrapperStrategy


@dataclass(frozen=True, slots=True)
class DrawnOptions:
    """Options of strategies that draw at random."""

    by: str = "bald"
    """Strategy that scores the samples; any strategy that scores each sample on its own."""
    sharpness: float = 1.0
    """How much the scores count (β in the paper): 0 draws uniformly, a large number takes the highest."""


class DrawnStrategy(WrapperStrategy, ABC):
    """Draws without replacement, each time with probabilities that grow with the score.

    Adding Gumbel noise to the log weights and taking the highest does so in one pass (Kirsch, Farquhar,
    Atighehchian, Jesson, Branchaud-Charron and Gal 2021, section 3).
    """

    Options: ClassVar[type] = DrawnOptions

    @abstractmethod
    def log_weights(self, scores: Scores) -> Scores:
        """(n,) finite log of the probability that a sample is drawn first, up to a constant."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """`k` drawn samples; their scores are the noisy log weights.

        `Selection.inclusion_probabilities` are conditional on the noise of all other samples, as inverse
        probability weighting needs (Kool, van Hoof and Welling 2019, section 4). Raises as
        `ScoredStrategy.select`.
        """
        weights = self.log_weights(self.scored.pool_scores(pool, rng)) if len(pool) else np.zeros(0)
        noisy = weights + rng.gumbel(size=len(weights))
        best = top(noisy, min(k + 1, len(noisy)), rng)
        chosen = best[:k]
        if len(best) <= k:
            return Selection(chosen, noisy[chosen], np.ones(len(chosen)))
        above = weights[chosen] - noisy[best[k]]
        return Selection(chosen, noisy[chosen], -np.expm1(-np.exp(np.minimum(above, 700.0))))
