"""Expected length of the gradient that an answer would cause."""

import numpy as np

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, TaskPrediction
from strategies._ensemble import Probs, Scores, by_mean, summed
from strategies._scored import ScoredStrategy, representation_of


@strategy("expected-gradient-length")
class ExpectedGradientLength(ScoredStrategy):
    """Longest expected gradient of a head's last layer (Settles, Craven and Ray 2008).

    The score is Σ p(y) ‖p - e_y‖ ‖h‖, where h is the representation that the head reads and e_y the
    one-hot vector of answer y. For a multilabel task it is √Σp(1 - p) ‖h‖; for a regression task, the
    predictive standard deviation times ‖h‖.
    """

    kinds = frozenset(Kind)
    needs = frozenset({Requirement.MODEL, Requirement.REPRESENTATIONS})

    def score(self, prediction: TaskPrediction, pool: Pool) -> Scores:
        """(n,) expected length of the gradient under the predicted probabilities of the answers.

        With h the representation that the head reads, the gradient of a class's loss is (p - e) hᵀ, so its
        length is ‖p - e‖ ‖h‖. For regression it is the predictive standard deviation times ‖h‖; for a
        multilabel task the root of the mean square, √Σp(1 - p) ‖h‖.
        """
        representation = representation_of(pool.representations, prediction.task.id)
        length = np.sqrt(np.einsum("nd,nd->n", representation, representation, dtype=np.float64))
        kind = prediction.task.dimension.kind
        if kind is Kind.REGRESSION:
            return length * np.hypot(prediction.epistemic, prediction.aleatoric)
        return length * by_mean(prediction, _several if kind is Kind.MULTILABEL else _one)


def _one(probs: Probs) -> Probs:
    """(some,) mean over the classes of ‖p - e‖, whose square is ‖p‖² - 2p + 1."""
    squared = summed(probs * probs)[:, None] - 2 * probs + 1
    return summed(probs * np.sqrt(np.maximum(squared, 0)))


def _several(ticked: Probs) -> Probs:
    return np.sqrt(summed(ticked * (1 - ticked)))
