"""A bidirectional GRU over the rows."""

import torch
from torch import nn

from annotate.learning.encoders._gru import BiGru
from annotate.learning.encoders.base import SequenceEncoder, masked
from annotate.learning.tensors import Frames, Representation
from annotate.registry import encoder


@encoder("bi-gru")
class BiGruEncoder(SequenceEncoder):
    """Bidirectional GRU over the rows; its last states (Cho et al. 2014; Akhtar et al. 2019)."""

    def __init__(self, width: int, hidden: int, dropout: float, options: object) -> None:
        super().__init__(width, hidden, dropout, options)
        self.rows = BiGru(width, hidden)
        self.layers = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(self, frames: Frames) -> Representation:
        """The state of a row joins both directions."""
        states, last = self.rows(frames.values, frames.mask)
        present = frames.mask.any(dim=1, keepdim=True)
        vector = torch.where(present, self.layers(last), 0.0)
        return Representation(vector, masked(self.layers(states), frames.mask), frames.mask)
