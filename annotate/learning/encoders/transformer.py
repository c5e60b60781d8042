"""A Transformer encoder over the rows."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning.encoders.base import SequenceEncoder, attention, masked, mean_over
from annotate.learning.tensors import Frames, Representation
from annotate.registry import encoder


@encoder("transformer")
class Transformer(SequenceEncoder):
    """Self-attention over the rows, then their mean (Vaswani et al. 2017; pre-norm: Xiong et al. 2020)."""

    @dataclass(frozen=True, slots=True)
    class Options:
        """Options of `transformer`."""

        layers: int = 1
        """Number of layers."""
        heads: int = 4
        """Attention heads, among which `hidden` is divided."""

    def __init__(self, width: int, hidden: int, dropout: float, options: Options) -> None:
        super().__init__(width, hidden, dropout, options)
        if options.layers < 1 or options.heads < 1 or hidden % options.heads:
            raise ConfigError(
                f"{options.layers} layers and {options.heads} heads do not fit train.hidden = {hidden}",
                hint="train.hidden has to be a multiple of train.options.transformer.heads",
            )
        self.read = nn.Linear(width, hidden)
        self.blocks = nn.ModuleList(Block(hidden, options.heads, dropout) for _ in range(options.layers))
        self.norm = nn.LayerNorm(hidden)

    def forward(self, frames: Frames) -> Representation:
        """The vector is the mean of the states."""
        states = self.read(masked(frames.values, frames.mask))
        states = states + places(states.shape[1], self.hidden).to(states)
        for block in self.blocks:
            states = block(states, frames.mask)
        states = masked(self.norm(states), frames.mask)
        return Representation(mean_over(states, frames.mask), states, frames.mask)


class Block(nn.Module):
    """A pre-norm Transformer block: self-attention, then two layers per row, both residual."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_layers = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.ask_key_value, self.join = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.layers = nn.Sequential(
            nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * hidden, hidden)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(n, rows, hidden) -> the same shape; no row attends to masked rows."""
        normed = self.before_attention(states)
        parts = self.ask_key_value(normed).unflatten(-1, (3, self.heads, -1)).transpose(-4, -2)
        ask, key, value = parts.unbind(-3)  # (n, heads, rows, hidden / heads) each
        scores = ask @ key.transpose(-2, -1) / math.sqrt(ask.shape[-1])
        weights = attention(scores, mask[:, None, None].expand_as(scores))
        attended = self.join((weights @ value).transpose(1, 2).flatten(-2))
        states = states + self.drop(attended)
        return states + self.drop(self.layers(self.before_layers(states)))


def places(rows: int, hidden: int) -> Tensor:
    """(rows, hidden) sinusoidal position encodings."""
    paces = torch.exp(torch.arange(0, hidden, 2) * (-math.log(10_000.0) / hidden))
    angles = torch.arange(rows)[:, None] * paces
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :hidden]
