"""Every sample is as likely as any other."""

import numpy as np

from annotate.registry import strategy
from annotate.types import Kind, Need, Pool, Selection


@strategy("uniform")
class Uniform:
    """Drawn by chance, each sample alike: what every other strategy has to beat."""

    needs: frozenset[Need] = frozenset()
    kinds = frozenset(Kind)

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """`k` samples without replacement, all with score 0."""
        chosen = rng.permutation(len(pool))[:k].astype(np.intp)
        return Selection(chosen, np.zeros(len(chosen)))
