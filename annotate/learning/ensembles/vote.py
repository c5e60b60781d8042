"""Members that vote."""

from annotate.learning.ensembles.base import Combination, Ensemble, EnsembleContext, Trained
from annotate.learning.seeds import member_seed
from annotate.registry import ensemble


@ensemble("vote")
class Vote(Ensemble):
    """Members as of `deep`; the majority of their answers, of numbers the median (Hansen & Salamon 1990)."""

    def train(self, context: EnsembleContext) -> Trained:
        """All members side by side."""
        states, fitted = context.fit([member_seed(context.seed, k) for k in range(context.members)])
        return Trained(tuple(states), tuple(fitted), Combination(voted=True))
