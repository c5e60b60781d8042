"""Draws by scores to the power of a sharpness."""

import numpy as np

from annotate.registry import strategy
from strategies._drawn import DrawnStrategy
from strategies._ensemble import Scores

NOTHING = np.finfo(np.float64).tiny
"""A score of zero: drawn when nothing else is left."""


@strategy("power")
class Power(DrawnStrategy):
    """Random draws with probabilities proportional to another strategy's scores (Kirsch et al. 2021).

    Draws without replacement with probabilities proportional to s^β, where s is the score of the wrapped
    strategy NAME (`bald`) and β the option `sharpness` (1). Negative scores are shifted so that the
    lowest is zero. The probability of each draw is stored.
    """

    def log_weights(self, scores: Scores) -> Scores:
        """β log s. Scores that can be below zero, such as minus a gap, are counted from their lowest."""
        lowest = min(float(scores.min(initial=0.0)), 0.0)
        return np.asarray(self.options.sharpness * np.log(np.maximum(scores - lowest, NOTHING)))
