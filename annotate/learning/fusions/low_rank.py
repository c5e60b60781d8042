"""Tensor fusion with a low-rank weight tensor that is never built."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning.fusions._pieces import PerModality, short_representations, stacked
from annotate.learning.fusions.base import Fusion
from annotate.learning.tensors import Inputs, Representation
from annotate.registry import fusion


@dataclass(frozen=True, slots=True)
class LowRankOptions:
    """Options of `low-rank`."""

    size: int = 8
    """Numbers to which the representation of each modality is reduced first."""
    rank: int = 4
    """Products of one factor per modality in the sum."""


@fusion("low-rank")
class LowRank(Fusion):
    """Tensor fusion with weights of low rank (LMF, Liu et al. 2018, section 3.2).

    Its weight tensor is a sum of `rank` products, so that `size` can be larger than for `tensor`, such as
    32.
    """

    Options = LowRankOptions

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        if min(options.size, options.rank) < 1:
            raise ConfigError(
                "size and rank of the fusion 'low-rank' begin at 1", hint="correct [train.options.low-rank]"
            )
        self.project = PerModality(len(widths), hidden, options.size)
        shape = (len(widths), options.rank, 1 + options.size, hidden)
        self.factors = nn.Parameter(torch.randn(shape) / (1 + options.size) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.finish = nn.Sequential(nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout))

    def weigh(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """(n, hidden): one number per modality and rank, multiplied over modalities, summed over ranks."""
        short = torch.stack(
            short_representations(*stacked(representations, inputs, self.widths), self.project)
        )
        each = torch.einsum("mni,mrih->mrnh", short, self.factors)
        product = each[0]
        for factor in each[1:]:
            product = product * factor
        return product.sum(dim=0) + self.bias

    def forward(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """The products of the other modalities remain if one is missing."""
        return torch.as_tensor(self.finish(self.weigh(representations, inputs)))
