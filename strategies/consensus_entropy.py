"""Query by committee: entropy of the members' mean."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Pool, TaskPrediction
from strategies.entropy import Entropy


@strategy("consensus-entropy")
class ConsensusEntropy(Entropy):
    """Highest entropy of the members' mean, mean rank over the tasks (Settles 2009, section 3.2).

    The scores are those of `entropy`. Without an ensemble this strategy is refused.
    """

    disagrees = True

    def score(self, prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
        """(n,) in nats, as modAL's `consensus_entropy`; the score of `entropy`, but for an ensemble only."""
        return super().score(prediction, pool)
