"""Softmax sampling: random draws by the exponential of scores."""

import numpy as np

from annotate.registry import strategy
from strategies._drawn import DrawnStrategy
from strategies._ensemble import Scores


@strategy("softmax")
class Softmax(DrawnStrategy):
    """Random draws, probabilities proportional to the exponential of another's scores (Kirsch et al. 2021).

    As `power`, but with probabilities proportional to exp(β s).
    """

    def log_weights(self, scores: Scores) -> Scores:
        """β s."""
        return np.asarray(self.options.sharpness * scores)
