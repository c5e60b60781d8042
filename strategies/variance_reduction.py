"""Expected reduction of the squared error by an answer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, TaskPrediction
from strategies._ensemble import TINY, Probs, by_members, shares_of, summed
from strategies._scored import ScoredStrategy
from strategies.bald import BaldOptions, noise_of


@strategy("variance-reduction")
class VarianceReduction(ScoredStrategy):
    """Largest expected reduction of the squared error (Cohn, Ghahramani and Jordan 1996).

    The score is Σ s⁴ / (s² + n²): the squared error that the answer would remove. For a regression task
    s² is the variance between the members and n² that of the noise, as shares of half the scale. For
    classes s² is the variance of the probability of each answer, and n² is p (1 - p). All tasks have one
    unit, so they are summed.
    """

    kinds = frozenset(Kind)
    Options = BaldOptions
    disagrees = True

    def score(self, prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
        """(n,) Σ s⁴ / (s² + n²): the part of the variance s² that an answer of noise variance n² removes.

        This is section 3 of the paper, for the sample itself. For classes it is a reduction of the Brier
        score. Both a task that cannot be learned and one that is nearly learned score low, whatever the
        disagreement.
        """
        dimension = prediction.task.dimension
        if dimension.kind is Kind.REGRESSION:
            half = (dimension.high - dimension.low) / 2
            return _taken(
                (prediction.epistemic.astype(np.float64) / half) ** 2, (noise_of(prediction) / half) ** 2
            )
        shares = shares_of(prediction)
        return by_members(prediction, lambda members: _of_answers(members, shares))


def _of_answers(members: Probs, shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """(some,) reduction, from (members, some, answers) probabilities."""
    mean, squares = np.zeros((2, *members.shape[1:]), np.float32)
    for member, share in zip(members, shares, strict=True):
        mean += member * share
        squares += member * member * share
    return summed(_taken(np.maximum(squares - mean * mean, 0), np.maximum(mean - squares, 0)))


def _taken(between: Any, noise: Any) -> Any:
    return between * between / np.maximum(between + noise, TINY)
