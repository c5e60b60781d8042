"""Draws by the place that scores give."""

import numpy as np

from annotate.registry import strategy
from strategies._drawn import DrawnStrategy
from strategies._ensemble import Scores
from strategies._several import ranks


@strategy("softrank")
class SoftRank(DrawnStrategy):
    """Draws with chances of one over the place that another strategy gives (Kirsch et al. 2021)."""

    def log_weights(self, scores: Scores) -> Scores:
        """-β log r, where the highest score has the place r = 1 and equals share the mean of theirs."""
        if not len(scores):
            return scores
        return np.asarray(-self.options.sharpness * np.log(0.5 + len(scores) * (1 - ranks(scores))))
