"""How much smaller the squared error becomes where an answer is heard."""

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
        """Σ s⁴ / (s² + n²) over the answers: of the variance s² between the members what remains no more when
        a normal answer with noise variance n² is heard (their section 3, for the sample itself).

        On a scale s and n are shares of half its width, and there is one number; of classes and several
        answers s² is the variance of an answer's probability, and n² the mean p (1 - p): the Brier score.
        So the tasks of all kinds have one unit. A task that cannot be learned has little, however much the
        members quarrel, and so has one that is nearly learned.
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
    """(some,) of (members, some, answers)."""
    mean, squares = np.zeros((2, *members.shape[1:]), np.float32)
    for member, share in zip(members, shares, strict=True):
        mean += member * share
        squares += member * member * share
    return summed(_taken(np.maximum(squares - mean * mean, 0), np.maximum(mean - squares, 0)))


def _taken(between: Any, noise: Any) -> Any:
    return between * between / np.maximum(between + noise, TINY)
