"""Keeps a batch from being all of one speaker, or all of one video."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


class GroupCap:
    """How much room each speaker and each video has left in a batch."""

    def __init__(self, groups: Mapping[str, NDArray[np.intp]], n: int, k: int, crowd: float) -> None:
        """`groups` of n samples as in `Pool`; nobody gets more than `crowd` times an even share of `k`,
        but one at least. 0: no limit."""
        self._groups = dict(groups) if crowd else {}
        self._n = n
        self._counts = {w: np.zeros(numbers.max(initial=-1) + 1, int) for w, numbers in self._groups.items()}
        self._limits = {
            word: max(1, int(np.ceil(crowd * k / max(len(np.unique(numbers)), 1))))
            for word, numbers in self._groups.items()
        }

    def open(self) -> NDArray[np.intp]:
        """Positions of samples whose speaker and video have room."""
        room = np.ones(self._n, dtype=bool)
        for word, numbers in self._groups.items():
            room &= self._counts[word][numbers] < self._limits[word]
        return np.flatnonzero(room)

    def admit(self, row: int) -> bool:
        """Whether there was room for this one; it is taken then."""
        if any(self._counts[w][numbers[row]] >= self._limits[w] for w, numbers in self._groups.items()):
            return False
        for word, numbers in self._groups.items():
            self._counts[word][numbers[row]] += 1
        return True

    def raise_limit(self) -> None:
        """Twice the room for everybody."""
        self._limits = {word: 2 * limit for word, limit in self._limits.items()}
