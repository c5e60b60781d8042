"""Members that vote."""

from annotate.learning.ensembles.base import Combination, Ensemble, Trained, Workshop
from annotate.learning.seeds import member_seed
from annotate.registry import ensemble


@ensemble("vote")
class Vote(Ensemble):
    """Members as of `deep`; the majority of their answers, of numbers the median (Hansen & Salamon 1990)."""

    def train(self, workshop: Workshop) -> Trained:
        """All members side by side."""
        states, fitted = workshop.fit([member_seed(workshop.seed, k) for k in range(workshop.members)])
        return Trained(tuple(states), tuple(fitted), Combination(voted=True))
