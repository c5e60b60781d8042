"""A whole tower per task: what single-task and softly shared networks are made of."""

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
        self.towers = nn.ModuleDict({key(task): Tower(plan, _sees(task)) for task in plan.tasks})

    def tower(self, task: Task) -> Tower:
        """That of `task`."""
        return cast(Tower, self.towers[key(task)])

    def together(self, representations: Mapping[str, Tensor]) -> Tensor:
        """(n, hidden) the mean representation of the multimodal tasks; of all tasks where there is no
        such."""
        fused = [task.id for task in self.tasks if task.modality is Modality.MULTIMODAL]
        return torch.stack([representations[task_id] for task_id in fused or representations]).mean(dim=0)


def key(task: Task) -> str:
    """The task's name among modules: torch keeps the dot for itself."""
    return task.id.replace(".", "-")


def _sees(task: Task) -> tuple[str, ...] | None:
    return None if task.modality is Modality.MULTIMODAL else (task.modality.value,)
