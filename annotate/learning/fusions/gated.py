"""Gated fusion: every dimension of the fused representation is a learned mixture of the modalities."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from annotate.learning.fusions._pieces import PerModality, side_by_side, stacked
from annotate.learning.fusions.base import Fusion
from annotate.learning.tensors import Inputs, Representation
from annotate.registry import fusion


@fusion("gated")
class Gated(Fusion):
    """Gates between 0 and 1 decide how much of each modality is taken (GMU, Arevalo et al. 2017).

    Every number of the representation has gates of its own, which read all modalities.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        count = len(widths)
        self.content = PerModality(count, hidden, hidden)
        self.gate = nn.Linear(count * (hidden + 1), count * hidden)
        self.dropout_layer = nn.Dropout(dropout)

    def gates(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """(modalities, n, hidden) in (0, 1), computed from all modalities and their presence flags."""
        joined = torch.cat(
            [side_by_side(part) for part in stacked(representations, inputs, self.widths)], dim=-1
        )
        return torch.stack(torch.sigmoid(self.gate(joined)).chunk(len(self.widths), dim=-1))

    def forward(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """The gated sum of the modalities present (section 3.1)."""
        vectors, present = stacked(representations, inputs, self.widths)
        content = torch.tanh(self.content(vectors)) * present
        return self.dropout_layer((self.gates(representations, inputs) * content).sum(dim=0))
