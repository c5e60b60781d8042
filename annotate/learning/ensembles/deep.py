"""The same labels, other first weights."""

from annotate.learning.ensembles.base import Ensemble, Trained, Workshop
from annotate.learning.seeds import member_seed
from annotate.registry import ensemble


@ensemble("deep")
class Deep(Ensemble):
    """The same labels, other first weights and order; the mean (Lakshminarayanan et al. 2017)."""

    def train(self, workshop: Workshop) -> Trained:
        """All members side by side. A bootstrap sample per member instead cost 2 to 4 points of accuracy with
        20 to 50 % of the labels of RAVDESS, and disagreement told errors apart no better."""
        states, fitted = workshop.fit([member_seed(workshop.seed, k) for k in range(workshop.members)])
        return Trained(tuple(states), tuple(fitted))
