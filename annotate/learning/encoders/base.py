"""The interface of an encoder, and functions for masked sequences."""

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
"""Longest sequence in rows; in longer ones neighbouring rows are averaged."""
_FAR_BELOW = -1e9
"""Score whose softmax is zero; minus infinity would give NaN where everything is masked."""


class Encoder(Part, nn.Module, ABC):
    """(n, rows, width) of one modality -> `Representation`. Made with a row's width, `hidden`, `dropout`,
    options."""

    reads_tokens: ClassVar[bool] = False
    """Whether it reads token ids (of `word-ids` or `hf-tokens`) and nothing else; token ids are not
    standardised."""
    sequential: ClassVar[bool] = False
    """Whether it reads row by row; other encoders only read rows that their own `pool_frames` made."""
    modalities: ClassVar[tuple[Modality, ...]] = UNIMODAL
    """The modalities that it can encode."""
    common: tuple[str, ...] = ()
    """Names of modules that all encoders of this modality in one network share, whatever the sharing; the
    modules are those of the first encoder."""

    def __init__(self, width: int, hidden: int, dropout: float, options: Any) -> None:
        super().__init__()
        self.width, self.hidden, self.dropout, self.options = width, hidden, dropout, options

    @classmethod
    @abstractmethod
    def pool_frames(cls, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """(frames, dim) -> (rows, width): the part without parameters, computed once per sample.

        Returns no rows for an absent modality (see `absent`).
        """

    @abstractmethod
    def forward(self, frames: Frames) -> Representation:
        """`Representation` of n samples, zeros for a sample without rows."""

    def make_inner(self, make: "Callable[[str, int], Encoder]") -> None:
        """Called once after construction; an encoder that wraps another makes it with `make(name, width)`."""


def absent(frames: NDArray[np.float32]) -> bool:
    """Whether the modality is missing: no row, or a single row of zeros."""
    return len(frames) == 0 or (len(frames) == 1 and not frames.any())


def sequence(frames: NDArray[np.float32], longest: int = LONGEST) -> NDArray[np.float32]:
    """(frames, dim) -> (at most `longest`, dim): means over stretches of equal length."""
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
    def pool_frames(cls, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """At most `LONGEST` rows."""
        return sequence(frames)


def masked(values: Tensor, mask: Tensor) -> Tensor:
    """(..., width): the values where the mask (...) is True, zeros elsewhere, even in place of NaN."""
    return torch.where(mask.unsqueeze(-1), values, 0.0)


def attention(scores: Tensor, mask: Tensor) -> Tensor:
    """(..., rows) softmax over the rows where `mask` (broadcast) is True; 0 for the other rows, and all 0 if
    every row is masked."""
    weights = torch.softmax(scores.masked_fill(~mask, _FAR_BELOW), dim=-1)
    return torch.where(mask, weights, 0.0)


def mean_over(values: Tensor, mask: Tensor) -> Tensor:
    """(n, rows, width) -> (n, width): the mean of the unmasked rows, zeros if there are none."""
    counts = mask.sum(dim=-1, keepdim=True).clamp(min=1)
    return masked(values, mask).sum(dim=-2) / counts
