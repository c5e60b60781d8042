"""Standard deviation between the members of an ensemble."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, TaskPrediction
from strategies._scored import ScoredStrategy


@strategy("predictive-std")
class PredictiveStd(ScoredStrategy):
    """Largest standard deviation between the members' values (Burbidge, Rowland and King 2007).

    Regression only. The score is the standard deviation between the values that the members of the
    ensemble predict.
    """

    kinds = frozenset({Kind.REGRESSION})
    disagrees = True

    def score(self, prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
        """(n,) on the task's own scale. Noise is left out, because no answer reduces it."""
        return prediction.epistemic.astype(np.float64)
