"""How far the members of an ensemble are apart on the scale."""

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
        """On the task's own scale. The noise is left out: no answer makes it smaller."""
        return prediction.epistemic.astype(np.float64)
