"""Seeds for the parts of a training, so that one more member changes no other."""

import numpy as np


def member_seed(seed: int, *path: int) -> int:
    """A 32-bit seed that depends on `seed` and the place `path` only."""
    return int(np.random.SeedSequence([seed, *path]).generate_state(1)[0])
