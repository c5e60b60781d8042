"""Bagging: each member learns from a bootstrap sample."""

import numpy as np
import torch

from annotate.learning.ensembles.base import Ensemble, EnsembleContext, Trained
from annotate.learning.seeds import member_seed
from annotate.registry import ensemble


@ensemble("bagging")
class Bagging(Ensemble):
    """Each member learns from a bootstrap sample of the groups; the mean (Breiman 1996)."""

    def train(self, context: EnsembleContext) -> Trained:
        """The number of draws of a group is the weight of its samples, so that all members train in
        parallel."""
        weights = torch.from_numpy(bootstrap(context.groups, context.members, context.seed))
        seeds = [member_seed(context.seed, k) for k in range(context.members)]
        states, fitted = context.fit(seeds, weights.to(context.train.device))
        return Trained(tuple(states), tuple(fitted))


def bootstrap(groups: np.typing.NDArray[np.intp], members: int, seed: int) -> np.typing.NDArray[np.float32]:
    """(members, n) how often each sample's group was drawn; with a single group, samples are drawn."""
    units = groups if len(np.unique(groups)) > 1 else np.arange(len(groups))
    _, which = np.unique(units, return_inverse=True)
    count = int(which.max()) + 1
    rng = np.random.default_rng([seed, 1])
    drawn = rng.multinomial(count, np.full(count, 1 / count), members)
    return drawn[:, which].astype(np.float32)
