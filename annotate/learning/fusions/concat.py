"""The codes side by side, one layer on top."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from annotate.learning.fusions._base import Fusion
from annotate.learning.tensors import Code, Inputs
from annotate.registry import fusion


@fusion("concat")
class Concat(Fusion):
    """Codes side by side, one layer (middle fusion; LF-DNN of Yu et al. 2020)."""

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        self.layers = nn.Sequential(
            nn.Linear(len(widths) * (hidden + 1), hidden),
            nn.LayerNorm(hidden),
            nn.GELU(),
            nn.Dropout(dropout),
        )

    def forward(self, codes: Mapping[str, Code], inputs: Inputs) -> Tensor:
        """What is present is seen too, so that zero and missing differ."""
        present = [inputs.present(key) for key in self.widths]
        kept = [codes[key].vector * there for key, there in zip(self.widths, present, strict=True)]
        return self.layers(torch.cat([*kept, *present], dim=-1))
