"""Two modalities look at each other, row by row, again and again."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning.encoders.base import attention
from annotate.learning.fusions._pieces import (
    PerModality,
    layer,
    pick,
    side_by_side,
    stacked,
    stacked_states,
)
from annotate.learning.fusions.base import Fusion
from annotate.learning.tensors import Inputs, Representation
from annotate.registry import fusion


@dataclass(frozen=True, slots=True)
class CoAttentionOptions:
    """Options of `co-attention`."""

    layers: int = 2
    """Number of co-attention layers."""
    size: int = 16
    """Size of the space in which rows of two modalities are compared."""


@fusion("co-attention")
class CoAttention(Fusion):
    """Dense co-attention between each pair of modalities, stacked (Nguyen and Okatani 2018).

    It needs encoders that read row by row.

    Implementation notes: As in section 3.2 of the paper, each modality has one more row, which is
    independent of the sample and takes the attention when no other row matters. With three modalities a row
    takes the mean of what it attends to in the other two.
    """

    Options = CoAttentionOptions
    reads_states = True

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        if min(options.layers, options.size) < 1:
            raise ConfigError(
                "layers and size of the fusion 'co-attention' begin at 1",
                hint="correct [train.options.co-attention]",
            )
        count = len(widths)
        rounds = options.layers if count > 1 else 0
        self.layers = nn.ModuleList(
            [CoAttentionLayer(count, hidden, options.size, dropout) for _ in range(rounds)]
        )
        self.score = PerModality(count, hidden, 1)
        self.join = layer(count * (hidden + 1), hidden, dropout)

    def forward(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """Each modality's representation plus the attention-weighted sum of its updated rows, joined."""
        states, mask = stacked_states(representations, self.widths)
        vectors, present = stacked(representations, inputs, self.widths)
        for co_attend in self.layers:
            states = co_attend(states, mask, present)
        shares = attention(self.score(states).squeeze(-1), mask)
        vectors = vectors + (shares.unsqueeze(-2) @ states).squeeze(-2)
        return torch.as_tensor(self.join(torch.cat([side_by_side(vectors), side_by_side(present)], dim=-1)))


class CoAttentionLayer(nn.Module):
    """One layer: every row attends to the rows of the other modalities and is updated."""

    def __init__(self, count: int, hidden: int, size: int, dropout: float) -> None:
        super().__init__()
        pairs = list(combinations(range(count), 2))
        self.left, self.right = [a for a, _ in pairs], [b for _, b in pairs]
        self.nowhere = nn.Parameter(torch.randn(count, 1, 1, hidden) / hidden**0.5)
        self.compare_left = PerModality(len(pairs), hidden, size)
        self.compare_right = PerModality(len(pairs), hidden, size)
        self.change = PerModality(count, 2 * hidden, hidden)
        self.dropout = nn.Dropout(dropout)

    def affinity(self, left: Tensor, right: Tensor) -> Tensor:
        """(pairs, n, rows of left, rows of right): one matrix for both directions."""
        size = self.compare_left.weight.shape[-1]
        return self.compare_left(left) @ self.compare_right(right).mT / size**0.5

    def forward(self, states: Tensor, mask: Tensor, present: Tensor) -> Tensor:
        """(modalities, n, rows, hidden) of the same shape; `mask` (modalities, n, rows)."""
        attended = self.attend(states, mask, present)
        changed = torch.relu(self.change(torch.cat([states, attended], dim=-1)))
        return torch.where(mask.unsqueeze(-1), states + self.dropout(changed), 0.0)

    def attend(self, states: Tensor, mask: Tensor, present: Tensor) -> Tensor:
        """(modalities, n, rows, hidden) the mean over the other modalities present; zeros without one."""
        rows = states.shape[-2]
        every = torch.cat([states, self.nowhere.expand(-1, states.shape[1], -1, -1)], dim=-2)
        may = torch.cat([mask, torch.ones_like(mask[..., :1])], dim=-1).unsqueeze(-2)
        left, right = pick(every, self.left), pick(every, self.right)
        affinity = self.affinity(left, right)
        from_left = attention(affinity, pick(may, self.right))[..., :rows, :] @ right
        from_right = attention(affinity.mT, pick(may, self.left))[..., :rows, :] @ left
        there = present.unsqueeze(-1)
        attended = []
        for m in range(len(states)):
            others = [
                *((from_left[p], self.right[p]) for p, a in enumerate(self.left) if a == m),
                *((from_right[p], self.left[p]) for p, b in enumerate(self.right) if b == m),
            ]
            total = torch.stack([part * there[other] for part, other in others]).sum(dim=0)
            attended.append(total / pick(there, [other for _, other in others]).sum(dim=0).clamp(min=1))
        return torch.stack(attended)
