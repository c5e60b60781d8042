"""Attention between the modalities over all utterances of a video."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning.encoders.base import attention
from annotate.learning.fusions._pieces import (
    PerModality,
    directions,
    layer,
    pick,
    side_by_side,
    stacked,
)
from annotate.learning.fusions.base import Fusion
from annotate.learning.tensors import Inputs, Representation
from annotate.registry import fusion


@dataclass(frozen=True, slots=True)
class ContextualOptions:
    """Options of `contextual`."""

    reach: int = 1
    """Utterances on each side that the convolution covers, before attention compares all utterances."""


@fusion("contextual")
class Contextual(Fusion):
    """Pairwise attention between modalities over the utterances of a video (Akhtar et al. 2019, section 3).

    Implementation notes: A convolution over the neighbouring utterances takes the place of the paper's
    bidirectional GRU, at a fraction of the cost. Scores are divided by the square root of the size of the
    representation.
    """

    Options = ContextualOptions
    needs_context = True

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        if options.reach < 0:
            raise ConfigError(
                "the reach of the fusion 'contextual' begins at 0", hint="correct [train.options.contextual]"
            )
        count = len(widths)
        self.targets, self.sources = directions(count)
        self.along = PerModality(count, (1 + 2 * options.reach) * hidden, hidden)
        self.dropout_layer = nn.Dropout(dropout)
        self.join = layer((count + len(self.targets)) * hidden + count, hidden, dropout)

    def forward(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """A modality that an utterance lacks is taken from its neighbours, if they have it."""
        vectors, present = stacked(representations, inputs, self.widths)
        same = same_video(inputs.video)
        context, known = self.context(vectors, present, same, inputs.position)
        parts = [side_by_side(context), side_by_side(present)]
        if self.targets:
            parts.append(side_by_side(self.pairwise(context, known, same)))
        return torch.as_tensor(self.join(torch.cat(parts, dim=-1)))

    def context(
        self, vectors: Tensor, present: Tensor, same: Tensor, position: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(modalities, n, hidden) representations that include the neighbouring utterances, zeros if none of
        them has the modality, and (modalities, n, 1) whether one has."""
        apart = position[None, :] - position[:, None]
        taken, counts = [vectors], [present]
        for step in (*range(-self.options.reach, 0), *range(1, self.options.reach + 1)):
            neighbours = (same & (apart == step)).to(vectors.dtype)
            counts.append(neighbours @ present)
            # The same utterance may have been drawn twice.
            taken.append(neighbours @ vectors / counts[-1].clamp(min=1))
        known = torch.stack(counts).sum(dim=0) > 0
        changed = torch.nn.functional.gelu(self.along(torch.cat(taken, dim=-1)))
        return torch.where(known, vectors + self.dropout_layer(changed), 0.0), known

    def pairwise(self, context: Tensor, known: Tensor, same: Tensor) -> Tensor:
        """(ordered pairs, n, hidden): the source modality, weighted by the attention of the target over the
        utterances, times the target."""
        first, second = pick(context, self.targets), pick(context, self.sources)
        may = same & pick(known, self.sources).mT
        shares = attention(first @ second.mT / self.hidden**0.5, may)
        return shares @ second * first


def same_video(video: Tensor) -> Tensor:
    """(n,) -> (n, n) True between utterances of one video; padding has only itself."""
    itself = torch.eye(video.shape[-1], dtype=torch.bool, device=video.device)
    return itself | ((video[:, None] == video[None, :]) & (video[:, None] >= 0))
