"""Parameters that towers of different tasks have in common, stacked: what soft sharing pulls together."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Ties = dict[str, tuple[str, ...]]
"""By name of a parameter inside a tower: the towers that have it, two or more."""


def ties(towers: nn.ModuleDict) -> Ties:
    """What stands in more than one tower; of one name means of one shape. What towers use together anyway
    (one and the same pretrained encoder) needs no tie."""
    owners: dict[str, dict[int, str]] = {}
    for tower, module in towers.items():
        for name, parameter in module.named_parameters():
            owners.setdefault(name, {}).setdefault(id(parameter), tower)
    return {name: tuple(tied.values()) for name, tied in owners.items() if len(tied) > 1}


def stacked(towers: nn.ModuleDict, tied: Ties) -> Mapping[str, Tensor]:
    """By name: (towers, ...) in the order of `tied`."""
    parameters = {tower: dict(module.named_parameters()) for tower, module in towers.items()}
    return {name: torch.stack([parameters[o][name] for o in owners]) for name, owners in tied.items()}
