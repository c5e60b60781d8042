"""The highest of many scores, with ties broken at random."""

import numpy as np
from numpy.typing import NDArray


def top(scores: NDArray[np.floating], k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions of the `k` highest of (n,) scores, best first; `rng` breaks ties.

    One pass finds the k-th highest; only what can be among the best is sorted.
    """
    k = min(k, len(scores))
    if k == 0:
        return np.zeros(0, dtype=np.intp)
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    above, level = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
    some = rng.choice(level, k - len(above), replace=False) if len(level) > k - len(above) else level
    best = rng.permutation(np.concatenate([above, some]))
    return np.asarray(best[np.argsort(-scores[best], kind="stable")], dtype=np.intp)
