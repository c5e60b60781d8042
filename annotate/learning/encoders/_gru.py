"""A bidirectional gated recurrent unit in plain tensor operations, which `torch.vmap` can run."""

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
        """The state at each row, zeros where masked, and the last state of each direction."""
        onward, back = self.read(masked(values, mask)).chunk(2, dim=-1)
        inputs = torch.stack([onward, back.flip(1)])
        there = torch.stack([mask, mask.flip(1)]).unsqueeze(-1)
        state = torch.zeros_like(inputs[:, :, 0, : self.hidden])
        states = []
        for row in range(values.shape[1]):
            reset, update, new = inputs[:, :, row].chunk(3, dim=-1)
            reset_state, update_state, new_state = (state @ self.recur + self.bias).chunk(3, dim=-1)
            keep = torch.sigmoid(update + update_state)
            candidate = torch.tanh(new + torch.sigmoid(reset + reset_state) * new_state)
            # The state does not change at masked rows, so padding before the backward start has no effect.
            state = torch.where(there[:, :, row], keep * state + (1 - keep) * candidate, state)
            states.append(state)
        onward, back = torch.stack(states, dim=2).unbind(0)
        return masked(torch.cat([onward, back.flip(1)], dim=-1), mask), torch.cat(
            [state[0], state[1]], dim=-1
        )
