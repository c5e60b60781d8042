"""When a member has learned enough, by its losses on the valid labels."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from annotate.learning.model_config import ModelConfig
from annotate.learning.weightings.base import mean_of_present
from annotate.types import Modality, Task


class Stopping:
    """What is known about each member's end; everything on the CPU.

    `joint`: a member ends when its mean valid loss over the tasks has not fallen for `patience` epochs.

    `task-wise`: each task stops when its own valid loss has not fallen for `patience` epochs; from then on it
    no longer counts, so that what is shared is left to those that still gain (Zhang et al. 2014, TCDCN,
    section 3.3; theirs looks at the trend of train and valid loss, this one at the plateau). The multimodal
    tasks are the main ones: the member ends when all of them have stopped, and the weights kept are those
    of the epoch in which their mean valid loss was lowest. They are of one epoch for all tasks, because a
    head put back alone would read representations that it never saw. Without valid labels of a multimodal
    task, all tasks are main; a task without valid labels never stops by itself.
    """

    def __init__(self, members: int, tasks: Sequence[Task], recipe: ModelConfig) -> None:
        self.patience, self.task_wise = recipe.patience, recipe.stopping == "task-wise"
        self.multimodal = torch.tensor([task.modality is Modality.MULTIMODAL for task in tasks])
        self.best_loss = torch.full((members,), math.inf)
        self.best_epoch = torch.zeros(members, dtype=torch.long)
        self.ended = torch.zeros(members, dtype=torch.long)
        self.running = torch.ones(members, dtype=torch.bool)
        self.task_loss = torch.full((members, len(tasks)), math.inf)
        self.task_epoch = torch.zeros(members, len(tasks), dtype=torch.long)
        self.active = torch.ones(members, len(tasks), dtype=torch.bool)
        """(members, tasks) whether the loss of the task still counts."""

    def tensors(self) -> dict[str, Tensor]:
        """By name, everything that changes."""
        return {
            "best_loss": self.best_loss, "best_epoch": self.best_epoch, "ended": self.ended,
            "running": self.running, "task_loss": self.task_loss, "task_epoch": self.task_epoch,
            "active": self.active,
        }  # fmt: skip

    def unwatched(self, epoch: int) -> None:
        """An epoch is over, and there are no valid labels to tell anything."""
        self.ended[:] = self.best_epoch[:] = epoch

    def look(self, epoch: int, losses: Tensor, present: Tensor) -> Tensor:
        """(members,) whose weights are the best so far, by the valid losses (members, tasks)."""
        main = present & self.multimodal if self.task_wise else present
        main = torch.where(main.any(dim=-1, keepdim=True), main, present)
        watched = mean_of_present(losses, main)
        better = (watched < self.best_loss) & self.running
        self.best_loss = torch.where(better, watched, self.best_loss)
        self.best_epoch[better] = epoch
        self.ended[self.running] = epoch
        if self.task_wise:
            self._stop_tasks(epoch, losses, present)
            self.running &= (self.active & main).any(dim=-1)
        else:
            self.running &= epoch - self.best_epoch < self.patience
        return better

    def _stop_tasks(self, epoch: int, losses: Tensor, present: Tensor) -> None:
        fell = losses < self.task_loss
        self.task_loss = torch.where(fell, losses, self.task_loss)
        self.task_epoch[fell | ~present] = epoch
        self.active &= epoch - self.task_epoch < self.patience
