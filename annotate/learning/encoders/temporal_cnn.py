"""Convolution over the rows, then the maximum over time."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from annotate.errors import ConfigError
from annotate.learning.encoders.base import SequenceEncoder, masked
from annotate.learning.tensors import Frames, Representation
from annotate.registry import encoder


@encoder("temporal-cnn")
class TemporalCnn(SequenceEncoder):
    """Convolution over the rows, then the maximum over time (Collobert & Weston 2008; Kim 2014)."""

    @dataclass(frozen=True, slots=True)
    class Options:
        """Options of `temporal-cnn`."""

        kernels: tuple[int, ...] = (1, 3)
        """Widths of the filters in rows; there are `hidden` filters of each width."""

    def __init__(self, width: int, hidden: int, dropout: float, options: Options) -> None:
        super().__init__(width, hidden, dropout, options)
        if not options.kernels or any(not isinstance(k, int) or k < 1 for k in options.kernels):
            raise ConfigError(
                f"train.options.temporal-cnn.kernels cannot be {list(options.kernels)}",
                hint="it lists how many rows each filter sees, such as [1, 3]",
            )
        # A product over windows, not nn.Conv1d: side by side, members would be convolved one by one.
        self.filters = nn.ModuleList(nn.Linear(k * width, hidden) for k in options.kernels)
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(len(options.kernels) * hidden, hidden),
            nn.LayerNorm(hidden),
            nn.GELU(),
        )

    def forward(self, frames: Frames) -> Representation:
        """The state of a row is the output of the filters around it."""
        rows = masked(frames.values, frames.mask)
        convolved = torch.cat(
            [
                functional.relu(f(_windows(rows, k)))
                for f, k in zip(self.filters, self.options.kernels, strict=True)
            ],
            dim=-1,
        )
        convolved = masked(convolved, frames.mask)  # not negative, so masked rows never win the maximum
        present = frames.mask.any(dim=1, keepdim=True)
        vector = torch.where(present, self.layers(convolved.amax(dim=1)), 0.0)
        return Representation(vector, masked(self.layers(convolved), frames.mask), frames.mask)


def _windows(rows: Tensor, size: int) -> Tensor:
    """(n, rows, width) -> (n, rows, size * width): each row with its neighbours, zeros beyond the ends."""
    count, before = rows.shape[1], (size - 1) // 2
    padded = functional.pad(rows, (0, 0, before, size - 1 - before))
    return torch.cat([padded[:, start : start + count] for start in range(size)], dim=-1)
