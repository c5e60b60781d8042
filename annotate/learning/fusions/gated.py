"""Each number of the fused code is a mixture of the modalities, and all of them decide how it is mixed."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from annotate.learning.fusions._pieces import PerModality, side_by_side, stacked
from annotate.learning.fusions.base import Fusion
from annotate.learning.tensors import Code, Inputs
from annotate.registry import fusion


@fusion("gated")
class Gated(Fusion):
    """Gates between 0 and 1 decide how much of each modality enters the code (GMU, Arevalo et al. 2017).

    Every number of the code has gates of its own, which read all modalities.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        count = len(widths)
        self.content = PerModality(count, hidden, hidden)
        self.gate = nn.Linear(count * (hidden + 1), count * hidden)
        self.dropout_layer = nn.Dropout(dropout)

    def gates(self, codes: Mapping[str, Code], inputs: Inputs) -> Tensor:
        """(modalities, n, hidden) in (0, 1), from all modalities and from which are there."""
        seen = torch.cat([side_by_side(part) for part in stacked(codes, inputs, self.widths)], dim=-1)
        return torch.stack(torch.sigmoid(self.gate(seen)).chunk(len(self.widths), dim=-1))

    def forward(self, codes: Mapping[str, Code], inputs: Inputs) -> Tensor:
        """The sum of the modalities that are there, each through its gates (section 3.1)."""
        vectors, present = stacked(codes, inputs, self.widths)
        content = torch.tanh(self.content(vectors)) * present
        return self.dropout_layer((self.gates(codes, inputs) * content).sum(dim=0))
