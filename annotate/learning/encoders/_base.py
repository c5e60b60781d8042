"""What an encoder is."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from annotate.learning._part import Part
from annotate.learning.tensors import Code, Frames

LONGEST = 64
"""Rows that are kept of a sequence: neighbours are averaged until it is no longer."""


class Encoder(Part, nn.Module, ABC):
    """(n, rows, width) of one modality -> `Code`. Made with a row's width, `hidden`, `dropout`, options."""

    standardised: ClassVar[bool] = True
    """Whether rows are centred and scaled first; not those that hold numbers of tokens."""

    def __init__(self, width: int, hidden: int, dropout: float, options: Any) -> None:
        super().__init__()
        self.width, self.hidden, self.dropout, self.options = width, hidden, dropout, options

    @classmethod
    @abstractmethod
    def condense(cls, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """(frames, dim) -> (rows, width): the part that learns nothing, done once per sample.

        An absent modality (see `absent`) gives no row.
        """

    @abstractmethod
    def forward(self, frames: Frames) -> Code:
        """`Code` of n samples; a sample without rows gets zeros."""


def absent(frames: NDArray[np.float32]) -> bool:
    """Whether this stands for a modality that is not there: no row, or a single row of zeros."""
    return len(frames) == 0 or (len(frames) == 1 and not frames.any())


def sequence(frames: NDArray[np.float32], longest: int = LONGEST) -> NDArray[np.float32]:
    """(frames, dim) -> (at most `longest`, dim): the means of that many stretches of equal length."""
    if absent(frames):
        return np.zeros((0, frames.shape[1]), np.float32)
    if len(frames) <= longest:
        return frames.astype(np.float32, copy=False)
    starts = np.arange(longest) * len(frames) // longest
    counts = np.diff(np.append(starts, len(frames)))
    return (np.add.reduceat(frames, starts, axis=0) / counts[:, None]).astype(np.float32)
