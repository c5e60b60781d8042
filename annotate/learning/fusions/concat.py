"""Concatenated representations, then layers (middle fusion)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning.fusions._pieces import layer
from annotate.learning.fusions.base import Fusion
from annotate.learning.tensors import Inputs, Representation
from annotate.registry import fusion


@dataclass(frozen=True, slots=True)
class ConcatOptions:
    """Options of `concat`."""

    layers: int = 1
    """Number of layers."""


@fusion("concat")
class Concat(Fusion):
    """Concatenated representations, then one layer or more (middle fusion; LF-DNN of Yu et al. 2020)."""

    Options: ClassVar[type] = ConcatOptions

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        if options.layers < 1:
            raise ConfigError(
                "the fusion 'concat' has at least one layer", hint="correct [train.options.concat] layers"
            )
        widest = len(widths) * (hidden + 1)
        self.layers = nn.Sequential(
            *(layer(hidden if k else widest, hidden, dropout) for k in range(options.layers))
        )

    def forward(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """Presence flags are inputs too, so that a zero representation and a missing one differ."""
        present = [inputs.present(key) for key in self.widths]
        kept = [representations[key].vector * there for key, there in zip(self.widths, present, strict=True)]
        return self.layers(torch.cat([*kept, *present], dim=-1))
