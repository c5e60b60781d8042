"""Late fusion: the decisions of the modalities are averaged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning.fusions._pieces import stacked
from annotate.learning.fusions.base import Fusion
from annotate.learning.tensors import Inputs, Representation
from annotate.registry import fusion


@dataclass(frozen=True, slots=True)
class LateOptions:
    """Options of `late`."""

    T: float = 1.0
    A: float = 1.0
    V: float = 1.0
    """Weight of the modality, relative to the others; above 0."""
    learned: bool = True
    """Whether the weights are learned; then the given ones are their initial values."""


@fusion("late")
class Late(Fusion):
    """Weighted mean of the decisions of the modalities (decision fusion; Snoek et al. 2005).

    Implementation notes: A head is one linear layer, so its output for the weighted mean of the
    representations is the weighted mean of its outputs for each representation: the values of a regression,
    the logits of a classification.
    """

    Options = LateOptions

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        given = [float(getattr(options, key)) for key in widths]
        if min(given) <= 0:
            raise ConfigError(
                "a modality's weight in the fusion 'late' has to be above 0",
                hint="correct it in [train.options.late], or leave the modality out under [features]",
            )
        logits = torch.tensor(given).log()
        if options.learned:
            self.logits: Tensor = nn.Parameter(logits)
        else:
            self.register_buffer("logits", logits)

    def weights(self, inputs: Inputs) -> Tensor:
        """(modalities, n, 1) weights, 0 for a missing modality; they sum to 1 if any is present."""
        present = torch.stack([inputs.present(key) for key in self.widths])
        shares = torch.softmax(self.logits, dim=0)[:, None, None] * present
        total = shares.sum(dim=0)
        return shares / torch.where(total > 0, total, 1.0)

    def forward(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """Zeros if every modality is missing."""
        return (self.weights(inputs) * stacked(representations, inputs, self.widths)[0]).sum(dim=0)
