"""Mean and maximum over time, then one layer: the encoder for few labels."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from annotate.learning.encoders.base import Encoder, absent
from annotate.learning.tensors import Frames, Representation
from annotate.registry import encoder


@dataclass(frozen=True, slots=True)
class MeanPoolOptions:
    """Options of `mean-pool`."""

    inner: int = 0
    """Width of two more layers before the representation, without normalisation, as in the sub-networks of
    TFN (Zadeh et al. 2017, section 4.1); 0: one layer in all."""


@encoder("mean-pool")
class MeanPool(Encoder):
    """Mean and maximum over time, then one layer (LF-DNN, Yu et al. 2020, with the maximum)."""

    Options: ClassVar[type] = MeanPoolOptions

    def __init__(self, width: int, hidden: int, dropout: float, options: Any) -> None:
        super().__init__(width, hidden, dropout, options)
        if options.inner:
            layers: list[nn.Module] = [nn.Dropout(dropout)]
            for before, after in pairwise((width, options.inner, options.inner, hidden)):
                layers += [nn.Linear(before, after), nn.ReLU()]
            self.layers = nn.Sequential(*layers)
        else:
            # No dropout on the input: it gained nothing on RAVDESS and cost a third of the time.
            self.layers = nn.Sequential(
                nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
            )

    @classmethod
    def pool_frames(cls, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """One row: mean and maximum side by side, so width = 2 dim."""
        if absent(frames):
            return np.zeros((0, 2 * frames.shape[1]), np.float32)
        return np.concatenate([frames.mean(axis=0), frames.max(axis=0)])[None].astype(np.float32)

    def forward(self, frames: Frames) -> Representation:
        """The vector is its only state."""
        present = frames.mask.any(dim=1, keepdim=True)
        representation = torch.where(present, self.layers(frames.values[:, 0]), 0.0)
        return Representation(representation, representation[:, None], present)
