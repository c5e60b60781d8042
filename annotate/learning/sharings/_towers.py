"""Base of the sharings that give each task a network of its own, up to its head."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from annotate.learning.sharings.base import NetworkPlan, Sharing, Tower
from annotate.types import Modality, Task


class TowerPerTask(Sharing):
    """Base of the sharings in which every task has its own encoders, layer and fusion.

    The tower of a task of one modality encodes nothing but that modality.
    """

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, options)
        self.towers = nn.ModuleDict()
        for task in plan.tasks:
            multimodal = task.modality is Modality.MULTIMODAL
            self.towers[key(task)] = Tower(plan, None if multimodal else (task.modality.value,))

    def tower(self, task: Task) -> Tower:
        """The tower of `task`."""
        return cast(Tower, self.towers[key(task)])

    def together(self, representations: Mapping[str, Tensor]) -> Tensor:
        """(n, hidden) the mean representation of the multimodal tasks, or of all tasks if none is
        multimodal."""
        fused = [task.id for task in self.tasks if task.modality is Modality.MULTIMODAL]
        return torch.stack([representations[task_id] for task_id in fused or representations]).mean(dim=0)


def key(task: Task) -> str:
    """The name of a task's module, without the dot that torch reserves."""
    return task.id.replace(".", "-")
