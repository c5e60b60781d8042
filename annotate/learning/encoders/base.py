"""What an encoder is."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from annotate.learning._part import Part
from annotate.learning.tensors import Frames, Representation
from annotate.types import UNIMODAL, Modality

LONGEST = 64
"""Rows that are kept of a sequence: neighbours are averaged until it is no longer."""
_FAR_BELOW = -1e9
"""A score that no softmax lets through; minus infinity would give NaN where nothing is there."""


class Encoder(Part, nn.Module, ABC):
    """(n, rows, width) of one modality -> `Representation`. Made with a row's width, `hidden`, `dropout`,
    options."""

    reads_tokens: ClassVar[bool] = False
    """Whether it reads token ids (of `word-ids`, `hf-tokens`) and no measurements: they are neither
    centred nor scaled, and it serves no other features."""
    sequential: ClassVar[bool] = False
    """Whether it reads row by row; the others need rows that `condense` made."""
    modalities: ClassVar[tuple[Modality, ...]] = UNIMODAL
    """Those it can serve."""
    common: tuple[str, ...] = ()
    """Its own modules that all encoders of this modality in one network use together, whatever the sharing:
    they are those of the first."""

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
    def forward(self, frames: Frames) -> Representation:
        """`Representation` of n samples; a sample without rows gets zeros."""

    def stand_on(self, make: "Callable[[str, int], Encoder]") -> None:
        """Called once after it was made: `make(name, width)` gives another encoder, for one that needs it."""


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


class SequenceEncoder(Encoder):
    """An encoder that reads row by row."""

    sequential = True

    @classmethod
    def condense(cls, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """At most `LONGEST` rows."""
        return sequence(frames)


def masked(values: Tensor, mask: Tensor) -> Tensor:
    """(..., width): those where the mask (...) is True, zeros elsewhere, whatever stood there."""
    return torch.where(mask.unsqueeze(-1), values, 0.0)


def attention(scores: Tensor, mask: Tensor) -> Tensor:
    """(..., rows) weights that sum to 1 over the rows that are there, where `mask` (broadcast) is True; 0 for
    the others, all 0 without any."""
    weights = torch.softmax(scores.masked_fill(~mask, _FAR_BELOW), dim=-1)
    return torch.where(mask, weights, 0.0)


def mean_over(values: Tensor, mask: Tensor) -> Tensor:
    """(n, rows, width) -> (n, width): the mean of the rows that are there, zeros without any."""
    counts = mask.sum(dim=-1, keepdim=True).clamp(min=1)
    return masked(values, mask).sum(dim=-2) / counts
