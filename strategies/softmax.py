"""Draws by the exponential of scores."""

import numpy as np

from annotate.registry import strategy
from strategies._drawn import DrawnStrategy
from strategies._ensemble import Scores


@strategy("softmax")
class Softmax(DrawnStrategy):
    """Draws with chances by the exponential of another strategy's scores (Kirsch et al. 2021)."""

    def log_weights(self, scores: Scores) -> Scores:
        """β s."""
        return np.asarray(self.options.sharpness * scores)
