"""Mean and maximum over time, then one layer: the encoder for few labels."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from annotate.learning.encoders._base import Encoder, absent
from annotate.learning.tensors import Code, Frames
from annotate.registry import encoder


@encoder("mean-pool")
class MeanPool(Encoder):
    """Mean and maximum over time, one layer (the encoder of LF-DNN, Yu et al. 2020, with the maximum)."""

    def __init__(self, width: int, hidden: int, dropout: float, options: object) -> None:
        super().__init__(width, hidden, dropout, options)
        # No dropout on the input: it gained nothing on RAVDESS and cost a third of the time.
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
        )

    @classmethod
    def condense(cls, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """One row: mean and maximum side by side, so width = 2 dim."""
        if absent(frames):
            return np.zeros((0, 2 * frames.shape[1]), np.float32)
        return np.concatenate([frames.mean(axis=0), frames.max(axis=0)])[None].astype(np.float32)

    def forward(self, frames: Frames) -> Code:
        """The vector is its only state."""
        present = frames.mask.any(dim=1, keepdim=True)
        code = torch.where(present, self.layers(frames.values[:, 0]), 0.0)
        return Code(code, code[:, None], present)
