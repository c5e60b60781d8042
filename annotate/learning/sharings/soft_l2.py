"""Soft parameter sharing by the squared distance of weights."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.func import functional_call

from annotate.learning.sharings._ties import stacked, ties
from annotate.learning.sharings._towers import TowerPerTask, key
from annotate.learning.sharings.base import Heads, NetworkPlan, zero_penalty
from annotate.learning.tensors import Inputs, Shared
from annotate.registry import sharing


@dataclass(frozen=True, slots=True)
class SoftL2Options:
    """Options of `soft-l2`."""

    strength: float = 0.01
    """Weight in the loss of the squared distance of every pair of networks; 0: they are independent."""


@sharing("soft-l2")
class SoftL2(TowerPerTask):
    """A network per task, tied by the squared distance of their weights (Duong et al. 2015).

    Implementation notes: The layers that the networks have in common start equal. The optimizer does not
    move the weights W but U: W_i = mean(U) + (U_i - mean(U)) / (1 + strength). The objective is the same,
    but its curvature stays small however large the strength is: at 0, W is U; towards infinity, all W
    become the mean.
    """

    Options: ClassVar[type] = SoftL2Options

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, options)
        self.tied = ties(self.towers)
        with torch.no_grad():
            for name, owners in self.tied.items():
                first, *others = (dict(self.towers[owner].named_parameters())[name] for owner in owners)
                for other in others:
                    other.copy_(first)

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """Each task through its own tower, with the tied weights W."""
        used, distance = self.tied_weights()
        representations = {}
        for task in self.tasks:
            vectors = functional_call(self.tower(task), used[key(task)], (inputs,))
            representations[task.id] = vectors[task.modality.value]
        penalty = zero_penalty(inputs) + self.options.strength * distance
        return Shared(representations, self.together(representations), penalty)

    def tied_weights(self) -> tuple[dict[str, dict[str, Tensor]], Tensor | float]:
        """By tower and name: the tied weights W; and the sum of squared distances over all pairs."""
        pull = 1 / (1 + self.options.strength)
        used: dict[str, dict[str, Tensor]] = {tower: {} for tower in self.towers}
        distance: Tensor | float = 0.0
        for name, free in stacked(self.towers, self.tied).items():
            mean = free.mean(dim=0)
            apart = pull * (free - mean)
            # The squares around the mean, times their number, are the squared distances of all pairs.
            distance = distance + len(free) * apart.square().sum()
            for owner, weight in zip(self.tied[name], (mean + apart).unbind(0), strict=True):
                used[owner][name] = weight
        return used, distance
