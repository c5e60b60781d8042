"""Building blocks of several fusions.

Modalities are the first axis, in the order of `Fusion.widths`, so that one multiplication serves all of them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from annotate.learning.tensors import Inputs, Representation


class PerModality(nn.Module):
    """(count, ..., width) -> (count, ..., outputs): a separate linear layer for each of `count`."""

    def __init__(self, count: int, width: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(count, width, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count, 1, outputs).uniform_(-bound, bound))

    def forward(self, values: Tensor) -> Tensor:
        """The middle axes are flattened for the multiplication."""
        output = torch.baddbmm(self.bias, values.flatten(1, -2), self.weight)
        return output.reshape(*values.shape[:-1], output.shape[-1])


def layer(width: int, hidden: int, dropout: float) -> nn.Sequential:
    """(..., width) -> (..., hidden)."""
    return nn.Sequential(nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout))


def stacked(
    representations: Mapping[str, Representation], inputs: Inputs, keys: Iterable[str]
) -> tuple[Tensor, Tensor]:
    """(modalities, n, hidden) representations, zeros where missing; (modalities, n, 1) 1.0 where present,
    else 0.0."""
    keys = list(keys)
    present = torch.stack([inputs.present(key) for key in keys])
    return torch.stack([representations[key].vector for key in keys]) * present, present


def stacked_states(
    representations: Mapping[str, Representation], keys: Iterable[str]
) -> tuple[Tensor, Tensor]:
    """(modalities, n, rows, hidden) states, padded with zeros to the longest modality, and (modalities, n,
    rows) True for real states."""
    chosen = [representations[key] for key in keys]
    rows = max(representation.mask.shape[-1] for representation in chosen)
    masks = torch.stack([_longer(representation.mask, rows, 1) for representation in chosen])
    states = torch.stack([_longer(representation.states, rows, 2) for representation in chosen])
    return torch.where(masks.unsqueeze(-1), states, 0.0), masks


def _longer(tensor: Tensor, rows: int, axis: int) -> Tensor:
    """Pad with zeros to `rows` along an axis counted from the end."""
    missing = rows - tensor.shape[-axis]
    if not missing:
        return tensor
    return nn.functional.pad(tensor, (0, 0) * (axis - 1) + (0, missing))


def side_by_side(stack: Tensor) -> Tensor:
    """(modalities, n, width) -> (n, modalities * width)."""
    return stack.movedim(0, 1).flatten(1)


def pick(stack: Tensor, places: Sequence[int]) -> Tensor:
    """The modalities at `places`, which may repeat."""
    return torch.stack([stack[i] for i in places])


def directions(count: int) -> tuple[list[int], list[int]]:
    """Every ordered pair of `count` modalities, as (targets, sources) of attention, sorted by target."""
    pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
    return [a for a, _ in pairs], [b for _, b in pairs]


def short_representations(vectors: Tensor, present: Tensor, project: PerModality) -> list[Tensor]:
    """Per modality (n, 1 + size): a 1 and the projected representation, which is zero if the modality is
    missing.

    The 1 keeps products of fewer modalities in the product of all (Zadeh et al. 2017, section 4.2).
    """
    short = project(vectors) * present
    return list(torch.cat([torch.ones_like(present), short], dim=-1).unbind(0))
