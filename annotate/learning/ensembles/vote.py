"""Majority vote of a deep ensemble."""

from annotate.learning.ensembles.base import Combination, Ensemble, EnsembleContext, Trained
from annotate.learning.seeds import member_seed
from annotate.registry import ensemble


@ensemble("vote")
class Vote(Ensemble):
    """The networks of `deep`; the majority of their answers, the median of numbers (Hansen & Salamon 1990).

    A multilabel task is decided answer by answer, and a tie by the surer members. Probabilities are shares
    of the votes, so five members can express only six of them.
    """

    def train(self, context: EnsembleContext) -> Trained:
        """Train all members in parallel."""
        states, fitted = context.fit([member_seed(context.seed, k) for k in range(context.members)])
        return Trained(tuple(states), tuple(fitted), Combination(voted=True))
