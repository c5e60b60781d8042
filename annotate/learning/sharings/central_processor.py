"""One processor for all tasks, which reads the modalities from a spatial and a temporal cache."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning.encoders.base import attention, masked
from annotate.learning.encoders.transformer import places
from annotate.learning.sharings.base import Heads, NetworkPlan, Sharing, zero_penalty
from annotate.learning.tensors import Inputs, Representation, Shared
from annotate.registry import sharing
from annotate.types import Modality

M = Modality.MULTIMODAL.value
FAINTEST = 1e-6
"""Smallest weight of a row, used when the token paid no attention to the row's stretch."""


@dataclass(frozen=True, slots=True)
class CentralProcessorOptions:
    """Options of `central-processor`."""

    cache: bool = True
    """Whether the processor reads single rows; without it, only one representation per modality."""
    stretches: int = 8
    """Stretches of time in the temporal cache."""


@sharing("central-processor")
class CentralProcessor(Sharing):
    """Encoders fill two caches, which one processor reads for every task (OmniNet: Pramanik et al. 2019).

    It takes the place of the fusion and needs encoders that read row by row.

    Implementation notes: The token of a task attends to the temporal cache (the mean of each stretch of a
    modality's time, with its position), then to the spatial cache of single rows. A row is weighted by the
    attention that the token paid to the stretch to which the link array ties it. The token of a unimodal
    task finds only that modality in the caches.
    """

    Options: ClassVar[type] = CentralProcessorOptions

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, options)
        if options.stretches < 1:
            raise ConfigError(
                f"train.options.central-processor.stretches cannot be {options.stretches}",
                hint="choose 1 or more, such as 8",
            )
        self.peripherals = nn.ModuleDict({m: plan.encoder(m) for m in plan.widths})
        reads = [[task.modality.value in (m, M) for m in plan.widths] for task in plan.tasks]
        self.register_buffer("reads", torch.tensor(reads))
        self.tokens = nn.Parameter(torch.randn(len(plan.tasks), plan.hidden) / math.sqrt(plan.hidden))
        self.names = nn.Parameter(torch.randn(len(plan.widths), plan.hidden) / math.sqrt(plan.hidden))
        self.temporal = _CacheAttention(plan.hidden, plan.dropout)
        self.spatial = _CacheAttention(plan.hidden, plan.dropout) if options.cache else None
        self.think = nn.Sequential(
            nn.Linear(plan.hidden, plan.hidden), nn.GELU(), nn.Dropout(plan.dropout),
            nn.Linear(plan.hidden, plan.hidden),
        )  # fmt: skip

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """All tasks at once, without a fusion."""
        caches = [
            self._fill_cache(self.peripherals[m](inputs.frames(m)), inputs.present(m) > 0, name)
            for m, name in zip(self.peripherals, self.names.unbind(0), strict=True)
        ]
        tokens = self.tokens.expand(len(inputs.video), *self.tokens.shape)
        tokens, weights = self.temporal(
            tokens,
            torch.cat([cache.times for cache in caches], dim=1),
            self._visible([cache.times_mask for cache in caches]),
        )
        if self.spatial is not None:
            parts = weights.split([cache.times.shape[1] for cache in caches], dim=-1)
            row_weights = [
                w[..., 1:] @ c.links.transpose(1, 2).unsqueeze(1) for w, c in zip(parts, caches, strict=True)
            ]
            tokens, _ = self.spatial(
                tokens,
                torch.cat([cache.rows for cache in caches], dim=1),
                self._visible([cache.rows_mask for cache in caches]),
                torch.cat(row_weights, dim=-1).clamp(min=FAINTEST).log(),
            )
        tokens = tokens + self.think(tokens)
        representations = {task.id: tokens[:, i] for i, task in enumerate(self.tasks)}
        fused = [representations[task.id] for task in self.tasks if task.modality.value == M]
        return Shared(
            representations,
            torch.stack(fused or list(representations.values())).mean(dim=0),
            zero_penalty(inputs),
        )

    def _fill_cache(self, representation: Representation, present: Tensor, name: Tensor) -> "_Cache":
        """The entries of one modality in both caches: its representation, stretches of its time, its rows."""
        whole = masked(representation.vector[:, None] + name, present)
        if self.spatial is None:
            return _Cache(whole, present, representation.states, representation.mask, representation.states)
        count = self.options.stretches
        rows = masked(representation.states + name, representation.mask)
        links = _links(representation.mask, count).to(rows)
        filled = links.sum(dim=1)  # (n, stretches)
        means = links.transpose(1, 2) @ rows / filled.clamp(min=1).unsqueeze(-1)
        times = masked(means + places(count, rows.shape[-1]).to(rows), filled > 0)
        return _Cache(
            torch.cat([whole, times], dim=1),
            torch.cat([present, filled > 0], dim=1),
            rows,
            representation.mask,
            links,
        )

    def _visible(self, masks: list[Tensor]) -> Tensor:
        """(n, tasks, entries) which entries each token may read; `masks` (n, entries) by modality."""
        reads = self.get_buffer("reads")
        visible = [mask[:, None, :] & reads[:, i, None] for i, mask in enumerate(masks)]
        return torch.cat(visible, dim=-1)


class _Cache(NamedTuple):
    """The entries of one modality of n samples in the caches."""

    times: Tensor
    """(n, 1 + stretches, hidden) the whole modality, then each stretch; without caches only the former."""
    times_mask: Tensor
    rows: Tensor
    """(n, rows, hidden)"""
    rows_mask: Tensor
    links: Tensor
    """(n, rows, stretches) 1.0 where a row lies in a stretch."""


class _CacheAttention(nn.Module):
    """Multi-head attention of tokens over a cache."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.heads = math.gcd(hidden, 4)
        self.ask, self.key = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.value, self.join = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.norm, self.drop = nn.LayerNorm(hidden), nn.Dropout(dropout)

    def forward(
        self, tokens: Tensor, cache: Tensor, mask: Tensor, bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Updated tokens (n, tasks, hidden) and attention weights (n, heads, tasks, entries). `cache` is (n,
        entries, hidden), `mask` (n, tasks, entries); `bias` is added to the scores."""
        ask, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.ask, tokens), (self.key, cache), (self.value, cache))
        )
        scores = ask @ key.transpose(-2, -1) / math.sqrt(ask.shape[-1])
        weights = attention(scores if bias is None else scores + bias, mask[:, None].expand_as(scores))
        read = self.join((weights @ value).transpose(1, 2).flatten(-2))
        return self.norm(tokens + self.drop(read)), weights


def _links(mask: Tensor, stretches: int) -> Tensor:
    """(n, rows, stretches) True where a row lies in a stretch: the rows that are there, divided evenly."""
    rank = mask.cumsum(dim=1) - 1
    stretch = rank * stretches // mask.sum(dim=1, keepdim=True).clamp(min=1)
    return (stretch.unsqueeze(-1) == torch.arange(stretches, device=mask.device)) & mask.unsqueeze(-1)
