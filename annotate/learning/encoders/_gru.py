"""A gated recurrent unit in both directions, in plain tensors, so that members run side by side."""

import math

import torch
from torch import Tensor, nn

from annotate.learning.encoders.base import masked


class BiGru(nn.Module):
    """(n, rows, width) -> (n, rows, 2 hidden) and (n, 2 hidden) (Cho et al. 2014; gates as in `nn.GRU`)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.read = nn.Linear(width, 2 * 3 * hidden)
        most = 1 / math.sqrt(hidden)
        self.recur = nn.Parameter(torch.empty(2, hidden, 3 * hidden).uniform_(-most, most))
        self.bias = nn.Parameter(torch.empty(2, 1, 3 * hidden).uniform_(-most, most))

    def forward(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What it holds at each row, zeros where none is, and at the end of each direction."""
        onward, back = self.read(masked(values, mask)).chunk(2, dim=-1)
        inputs = torch.stack([onward, back.flip(1)])
        there = torch.stack([mask, mask.flip(1)]).unsqueeze(-1)
        state = torch.zeros_like(inputs[:, :, 0, : self.hidden])
        states = []
        for row in range(values.shape[1]):
            # Where no row is, nothing happens: padding before the backward start changes nothing.
            state = torch.where(there[:, :, row], self._step(inputs[:, :, row], state), state)
            states.append(state)
        onward, back = torch.stack(states, dim=2).unbind(0)
        return masked(torch.cat([onward, back.flip(1)], dim=-1), mask), torch.cat(
            [state[0], state[1]], dim=-1
        )

    def _step(self, read: Tensor, state: Tensor) -> Tensor:
        """(2, n, 3 hidden) and (2, n, hidden) -> (2, n, hidden)."""
        reset, update, new = read.chunk(3, dim=-1)
        of_reset, of_update, of_new = (state @ self.recur + self.bias).chunk(3, dim=-1)
        keep = torch.sigmoid(update + of_update)
        fresh = torch.tanh(new + torch.sigmoid(reset + of_reset) * of_new)
        return keep * state + (1 - keep) * fresh
