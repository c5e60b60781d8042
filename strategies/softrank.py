"""Soft-rank sampling: random draws by the rank of scores."""

import numpy as np

from annotate.registry import strategy
from strategies._drawn import DrawnStrategy
from strategies._ensemble import Scores
from strategies._several import ranks


@strategy("softrank")
class SoftRank(DrawnStrategy):
    """Random draws with probabilities that fall with another strategy's ranks (Kirsch et al. 2021).

    As `power`, but with probabilities proportional to rank^-β.
    """

    def log_weights(self, scores: Scores) -> Scores:
        """-β log r, where the highest score has rank r = 1 and ties share the mean of their ranks."""
        if not len(scores):
            return scores
        return np.asarray(-self.options.sharpness * np.log(0.5 + len(scores) * (1 - ranks(scores))))
