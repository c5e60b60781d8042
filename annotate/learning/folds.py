"""Folds of a cross-validation that keep groups whole."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import UsageError
from annotate.wording import counted, either


def grouped_folds(groups: NDArray[Any], k: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """`k` disjoint index arrays that cover all samples, keep groups whole and have similar sizes.

    Large groups are assigned first, each to the smallest fold; groups of similar size in random order.
    Raises `UsageError` when there are fewer groups than folds.
    """
    _, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if not 2 <= k <= len(sizes):
        raise UsageError(
            f"{counted(len(sizes), 'group')} {either(len(sizes), 'is', 'are')} not enough for {k} folds",
            hint=f"ask for 2 to {len(sizes)}",
        )
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-np.floor(np.log2(sizes[order])), kind="stable")]
    fold_of, filled = np.zeros(len(sizes), np.intp), np.zeros(k, np.intp)
    for group in order:
        fold_of[group] = np.argmin(filled)
        filled[fold_of[group]] += sizes[group]
    return [np.flatnonzero(fold_of[which] == fold) for fold in range(k)]
