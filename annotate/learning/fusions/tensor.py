"""Tensor fusion: the outer product of the representations of all modalities."""

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

MOST_PRODUCTS = 10_000
"""Above it the next layer would have many times the weights of the rest of the network."""


@dataclass(frozen=True, slots=True)
class TensorOptions:
    """Options of `tensor`."""

    size: int = 8
    """Numbers to which the representation of each modality is reduced first."""


@fusion("tensor")
class TensorFusion(Fusion):
    """Outer product of the short representations, each extended by a 1 (TFN, Zadeh et al. 2017).

    The product has (1 + `size`) to the power of the number of modalities: 729 numbers for three.
    """

    Options = TensorOptions

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        products = (1 + options.size) ** len(widths)
        if options.size < 1 or products > MOST_PRODUCTS:
            raise ConfigError(
                f"the fusion 'tensor' with size {options.size} would have {products:,} products",
                hint=f"choose a size from 1 on with at most {MOST_PRODUCTS:,}, or train.fusion = 'low-rank'",
            )
        self.project = PerModality(len(widths), hidden, options.size)
        self.weigh = nn.Linear(products, hidden)
        self.finish = nn.Sequential(nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout))

    def products(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """(n, (1 + size) ** modalities), with the index of the last modality changing fastest."""
        first, *rest = short_representations(*stacked(representations, inputs, self.widths), self.project)
        outer = first
        for short in rest:
            outer = (outer.unsqueeze(-1) * short.unsqueeze(-2)).flatten(1)
        return outer

    def forward(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """The products of the other modalities remain if one is missing."""
        return torch.as_tensor(self.finish(self.weigh(self.products(representations, inputs))))
