"""Draws by scores to the power of a sharpness."""

import numpy as np

from annotate.registry import strategy
from strategies._drawn import DrawnStrategy
from strategies._ensemble import Scores

NOTHING = np.finfo(np.float64).tiny
"""A score of zero: drawn when nothing else is left."""


@strategy("power")
class Power(DrawnStrategy):
    """Draws with chances in proportion to another strategy's scores (Kirsch et al. 2021)."""

    def log_weights(self, scores: Scores) -> Scores:
        """β log s. Scores that can be below zero, such as minus a gap, are counted from their lowest."""
        lowest = min(float(scores.min(initial=0.0)), 0.0)
        return np.asarray(self.options.sharpness * np.log(np.maximum(scores - lowest, NOTHING)))
