"""Corresponding parameters of the towers of different tasks, stacked for soft parameter sharing."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Ties = dict[str, tuple[str, ...]]
"""Parameter name inside a tower -> the towers that have it, two or more."""


def ties(towers: nn.ModuleDict) -> Ties:
    """Parameters that occur in several towers; equal names have equal shapes. A module that several towers
    use together (one pretrained encoder) counts once."""
    owners: dict[str, dict[int, str]] = {}
    for tower, module in towers.items():
        for name, parameter in module.named_parameters():
            owners.setdefault(name, {}).setdefault(id(parameter), tower)
    return {name: tuple(tied.values()) for name, tied in owners.items() if len(tied) > 1}


def stacked(towers: nn.ModuleDict, tied: Ties) -> Mapping[str, Tensor]:
    """By name: (towers, ...) in the order of `tied`."""
    parameters = {tower: dict(module.named_parameters()) for tower, module in towers.items()}
    return {name: torch.stack([parameters[o][name] for o in owners]) for name, owners in tied.items()}
