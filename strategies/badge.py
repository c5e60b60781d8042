"""Uncertain and diverse: large gradients in many directions."""

import numpy as np

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from strategies._gradients import wanted_gradients
from strategies._seeding import seeds


@strategy("badge")
class Badge:
    """Large and diverse gradients of the heads, drawn as k-means++ draws its centres (Ash et al. 2020).

    Draws as k-means++ does: the first sample by its squared norm, each further one by its squared
    distance to the nearest chosen sample. Distances are between gradients e ⊗ h, where h is the
    representation that the head reads and e = p - onehot(likeliest answer); multilabel: p - [p ≥ ½];
    regression: the predictive standard deviation as a share of the scale. Squared distances are summed
    over the tasks; a known label counts as 0.
    """

    needs = frozenset({Requirement.MODEL, Requirement.REPRESENTATIONS})
    kinds = frozenset(Kind)

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """`k` drawn samples; scores fall evenly from 1.

        If no gradients differ any more, samples are drawn at random. Raises `ModelError` without a model, or
        when its predictions are not numbers.
        """
        given = wanted_gradients(pool)
        k = min(k, len(pool))
        chosen = seeds(given, given.sizes, k, rng)
        return Selection(chosen, 1 - np.arange(k) / max(k, 1))
