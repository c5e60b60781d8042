"""Early fusion: the features of all modalities are concatenated before any encoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from annotate.errors import ConfigError
from annotate.learning.fusions._pieces import layer
from annotate.learning.fusions.base import Fusion
from annotate.learning.tensors import Inputs, Representation
from annotate.registry import fusion


@dataclass(frozen=True, slots=True)
class EarlyOptions:
    """Options of `early`."""

    stretches: int = 8
    """Parts of equal duration into which every sample is divided; one part if every modality has one row."""


@fusion("early")
class Early(Fusion):
    """Concatenated rows of the same time, then one encoder for all (early fusion; Snoek et al. 2005).

    It adds a second encoder of all features, so its size grows with them. It cannot be combined with
    encoders of token ids.

    Implementation notes: The rows of every modality cover the whole utterance, however many they are.
    Modalities of different lengths are resampled to `stretches` rows, weighted by the overlap in time; a
    row that is as long as a stretch passes unchanged.
    """

    Options = EarlyOptions
    reads_rows = True

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        if options.stretches < 1:
            raise ConfigError(
                "the fusion 'early' needs a stretch", hint="set stretches in [train.options.early]"
            )
        self.rows = layer(sum(widths.values()) + len(widths), hidden, dropout)
        self.whole = layer(2 * hidden, hidden, dropout)

    def forward(self, representations: Mapping[str, Representation], inputs: Inputs) -> Tensor:
        """Mean and maximum over the stretches of the joined features; the representations are not used."""
        coded = self.rows(self.joined(inputs))
        return torch.as_tensor(self.whole(torch.cat([coded.mean(dim=1), coded.amax(dim=1)], dim=-1)))

    def joined(self, inputs: Inputs) -> Tensor:
        """(n, stretches, widths of all modalities plus a presence flag for each)."""
        single = all(inputs.masks[key].shape[-1] == 1 for key in self.widths)
        count = 1 if single else self.options.stretches
        parts = [resampled(inputs.values[key], inputs.masks[key], count) for key in self.widths]
        present = [inputs.present(key).unsqueeze(1).expand(-1, count, -1) for key in self.widths]
        return torch.cat([*parts, *present], dim=-1)


def resampled(values: Tensor, mask: Tensor, count: int) -> Tensor:
    """(n, rows, width) -> (n, count, width), the means over `count` equal stretches of time; zeros without
    rows."""
    length = mask.sum(dim=-1)[:, None, None].clamp(min=1)
    row = (mask.cumsum(dim=-1) - 1)[:, None, :]
    stretch = torch.arange(count, device=values.device)[None, :, None]
    # In integers: a stretch is `length` long, a row `count`.
    end = torch.minimum((stretch + 1) * length, (row + 1) * count)
    start = torch.maximum(stretch * length, row * count)
    overlap = torch.where(mask[:, None, :], (end - start).clamp(min=0), 0).to(values.dtype) / length
    return overlap @ torch.where(mask.unsqueeze(-1), values, 0.0)
