"""Hierarchical attention over the rows of an utterance and the utterances of its video."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from annotate.errors import ConfigError
from annotate.learning.encoders._gru import BiGru
from annotate.learning.encoders.base import SequenceEncoder, attention, masked
from annotate.learning.tensors import Frames, Representation
from annotate.registry import encoder


class Weights(NamedTuple):
    """Attention weights; each row sums to 1, or is zero if everything is masked."""

    rows: Tensor
    """(n, rows) weights of each sample's own rows."""
    utterances: Tensor
    """(n, n) weights of all samples for the sample of a row; 0 outside its video."""


@encoder("hierarchical-attention")
class HierarchicalAttention(SequenceEncoder):
    """Attention over the rows, then over the utterances of the same video (HAN; Yang et al. 2016).

    Implementation notes: It differs from the paper in two ways, because here every utterance has a label,
    not the document as a whole: the query of an utterance also depends on the utterance itself, and a
    learned bias per distance replaces the recurrent layer over utterances.
    """

    needs_context = True

    @dataclass(frozen=True, slots=True)
    class Options:
        """Options of `hierarchical-attention`."""

        recurrent: bool = False
        """Whether a GRU reads the rows first, as in the paper: slow, for features whose order matters."""
        reach: int = 4
        """Distances up to this number of utterances have a bias of their own; larger ones share the last."""

    def __init__(self, width: int, hidden: int, dropout: float, options: Options) -> None:
        super().__init__(width, hidden, dropout, options)
        if options.reach < 1:
            raise ConfigError(
                f"train.options.hierarchical-attention.reach cannot be {options.reach}",
                hint="it counts utterances: 1 or more",
            )
        self.gru = BiGru(width, hidden) if options.recurrent else None
        self.read = nn.Linear(2 * hidden if options.recurrent else width, hidden)
        self.row_view, self.row_context = nn.Linear(hidden, hidden), nn.Linear(hidden, 1, bias=False)
        self.ask, self.show = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.distance = nn.Parameter(torch.zeros(2 * options.reach + 1, 1))
        self.layers = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(2 * hidden, hidden), nn.LayerNorm(hidden), nn.GELU()
        )

    def forward(self, frames: Frames) -> Representation:
        """The states are those of single rows; the vector covers the sample and its video."""
        states, weights, own = self._read(frames)
        around = weights.utterances @ own
        present = frames.mask.any(dim=1, keepdim=True)
        vector = torch.where(present, self.layers(torch.cat([own, around], dim=-1)), 0.0)
        return Representation(vector, states, frames.mask)

    def attention_weights(self, frames: Frames) -> Weights:
        """The attention weights of both levels."""
        return self._read(frames)[1]

    def _read(self, frames: Frames) -> tuple[Tensor, Weights, Tensor]:
        """(n, rows, hidden) states, the weights, and (n, hidden) each sample without its video."""
        rows = masked(frames.values, frames.mask)
        if self.gru is not None:
            rows = self.gru(rows, frames.mask)[0]
        states = masked(functional.gelu(self.read(rows)), frames.mask)
        of_rows = attention(self.row_context(torch.tanh(self.row_view(states))).squeeze(-1), frames.mask)
        own = (of_rows.unsqueeze(-2) @ states).squeeze(-2)
        return states, Weights(of_rows, self._utterance_weights(own, frames)), own

    def _utterance_weights(self, own: Tensor, frames: Frames) -> Tensor:
        """(n, n) attention weights between the utterances of one video."""
        reach = self.distance.shape[0] // 2
        # The bias of `ask` is the context vector of the paper.
        scores = self.ask(own) @ self.show(torch.tanh(own)).transpose(-2, -1) / math.sqrt(own.shape[-1])
        apart = (frames.position[None, :] - frames.position[:, None]).clamp(-reach, reach) + reach
        there = frames.mask.any(dim=1)
        same = (frames.video[None, :] == frames.video[:, None]) & (frames.video >= 0)
        visible = same & there[None, :] & there[:, None]
        return attention(scores + functional.embedding(apart, self.distance).squeeze(-1), visible)
