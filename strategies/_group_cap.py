"""Limits how many samples of a batch come from one speaker or one video."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


class GroupCap:
    """How many more samples of each speaker and each video a batch may take."""

    def __init__(self, groups: Mapping[str, NDArray[np.intp]], n: int, k: int, crowd: float) -> None:
        """`groups` of n samples as in `Pool`. The limit of a group is `crowd` times an even share of `k`, at
        least 1; a `crowd` of 0 means no limit."""
        self._groups = dict(groups) if crowd else {}
        self._n = n
        self._counts = {w: np.zeros(numbers.max(initial=-1) + 1, int) for w, numbers in self._groups.items()}
        self._limits = {
            word: max(1, int(np.ceil(crowd * k / max(len(np.unique(numbers)), 1))))
            for word, numbers in self._groups.items()
        }

    def open(self) -> NDArray[np.intp]:
        """Positions of samples whose speaker and video are below their limits."""
        room = np.ones(self._n, dtype=bool)
        for word, numbers in self._groups.items():
            room &= self._counts[word][numbers] < self._limits[word]
        return np.flatnonzero(room)

    def admit(self, row: int) -> bool:
        """Count this sample if its speaker and video are below their limits; whether it was counted."""
        if any(self._counts[w][numbers[row]] >= self._limits[w] for w, numbers in self._groups.items()):
            return False
        for word, numbers in self._groups.items():
            self._counts[word][numbers[row]] += 1
        return True

    def raise_limit(self) -> None:
        """Double every limit."""
        self._limits = {word: 2 * limit for word, limit in self._limits.items()}
