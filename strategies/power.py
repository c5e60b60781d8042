"""Power sampling: random draws by scores to the power of `sharpness`."""

import numpy as np

from annotate.registry import strategy
from strategies._drawn import DrawnStrategy
from strategies._ensemble import Scores

NOTHING = np.finfo(np.float64).tiny
"""Replaces a score of zero, so that such samples are drawn when nothing else is left."""


@strategy("power")
class Power(DrawnStrategy):
    """Random draws with probabilities proportional to another strategy's scores (Kirsch et al. 2021).

    Draws without replacement with probabilities proportional to s^β, where s is the score of the wrapped
    strategy NAME (`bald`) and β the option `sharpness` (1). Negative scores are shifted so that the
    lowest is zero. The probability of each draw is stored.
    """

    def log_weights(self, scores: Scores) -> Scores:
        """β log s. Negative scores are shifted so that the lowest is zero."""
        lowest = min(float(scores.min(initial=0.0)), 0.0)
        return np.asarray(self.options.sharpness * np.log(np.maximum(scores - lowest, NOTHING)))
