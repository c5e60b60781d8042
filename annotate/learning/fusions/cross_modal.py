"""Cross-modal attention between the rows of the modalities, which need no alignment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm

from annotate.errors import ConfigError
from annotate.learning.encoders.base import attention
from annotate.learning.encoders.transformer import places
from annotate.learning.fusions._pieces import (
    PerModality,
    directions,
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
class CrossModalOptions:
    """Options of `cross-modal`."""

    size: int = 16
    """Numbers per row inside a Transformer; a multiple of `heads`."""
    heads: int = 2
    """Attention heads."""
    layers: int = 1
    """Layers of the Transformer of each directed pair of modalities."""


@fusion("cross-modal")
class CrossModal(Fusion):
    """A small Transformer from each modality's rows to each other's (MulT, Tsai et al. 2019, section 3).

    It needs encoders that read row by row.

    Implementation notes: One more Transformer per modality reads what the modality took from the others.
    The mean of its rows, in place of the paper's last row, is added to the representation of the modality.
    """

    Options = CrossModalOptions
    reads_states = True

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        if min(options.size, options.heads, options.layers) < 1 or options.size % options.heads:
            raise ConfigError(
                f"the fusion 'cross-modal' cannot divide size {options.size} among {options.heads} heads",
                hint="in [train.options.cross-modal] all begin at 1, and size is a multiple of heads",
            )
        count = len(widths)
        self.targets, self.sources = directions(count)
        self.project = PerModality(count, hidden, options.size)
        inner = options.size * max(count - 1, 1)
        self.across = nn.ModuleList(
            Block(len(self.targets), options.size, options.heads, dropout)
            for _ in range(options.layers if self.targets else 0)
        )
        self.along = Block(count, inner, options.heads, dropout)
        self.back = PerModality(count, inner, hidden)
        self.join = layer(count * (hidden + 1), hidden, dropout)

    def forward(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """If a source modality is missing, its targets keep their own rows."""
        states, mask = stacked_states(representations, self.widths)
        vectors, present = stacked(representations, inputs, self.widths)
        attended = self.attend_across(
            self.project(states) + places(states.shape[-2], self.options.size).to(states), mask
        )
        attended = self.along(attended, attended, mask, mask)
        mean = (attended * mask.unsqueeze(-1)).sum(dim=-2) / mask.sum(dim=-1, keepdim=True).clamp(min=1)
        vectors = (vectors + self.back(mean)) * present
        return torch.as_tensor(self.join(torch.cat([side_by_side(vectors), side_by_side(present)], dim=-1)))

    def attend_across(self, rows: Tensor, mask: Tensor) -> Tensor:
        """(modalities, n, rows, size) -> (modalities, n, rows, size of all its sources side by side)."""
        if not self.targets:
            return rows
        target, source = pick(rows, self.targets), pick(rows, self.sources)
        may_target, may_source = pick(mask, self.targets), pick(mask, self.sources)
        for block in self.across:
            target = block(target, source, may_target, may_source)
        return target.reshape(len(rows), -1, *rows.shape[1:]).movedim(1, -2).flatten(-2)


class Block(nn.Module):
    """One pre-norm layer of `count` parallel Transformers with separate weights."""

    def __init__(self, count: int, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.size, self.heads = size, heads
        self.ask = PerModality(count, size, size)
        self.offer = PerModality(count, size, 2 * size)
        self.out = PerModality(count, size, size)
        self.widen, self.narrow = PerModality(count, size, 2 * size), PerModality(count, 2 * size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, target: Tensor, source: Tensor, may_target: Tensor, may_source: Tensor) -> Tensor:
        """(count, n, rows, size), the shape of `target`; masked rows of the target stay zero."""
        attended = self.attend(self._norm(target), self._norm(source), may_source)
        target = target + self.dropout(attended)
        target = target + self.dropout(self.narrow(gelu(self.widen(self._norm(target)))))
        return torch.where(may_target.unsqueeze(-1), target, 0.0)

    def attend(self, target: Tensor, source: Tensor, may: Tensor) -> Tensor:
        """What each row of the target attends to in the source; zeros if the source has no rows."""
        asked = self._split(self.ask(target))
        keys, values = (self._split(part) for part in self.offer(source).chunk(2, dim=-1))
        scores = asked @ keys.mT / (self.size // self.heads) ** 0.5
        shares = attention(scores, may[:, :, None, None, :])
        attended = self.out((shares @ values).movedim(2, -2).flatten(-2))
        return attended * may.any(dim=-1)[:, :, None, None]

    def _split(self, rows: Tensor) -> Tensor:
        """(count, n, rows, size) -> (count, n, heads, rows, size / heads)."""
        return rows.reshape(*rows.shape[:-1], self.heads, -1).movedim(-2, 2)

    def _norm(self, rows: Tensor) -> Tensor:
        return layer_norm(rows, (self.size,))
