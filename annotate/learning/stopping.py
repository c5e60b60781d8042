"""Early stopping of each member, by its losses on the valid labels."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from annotate.learning.model_config import ModelConfig
from annotate.learning.weightings.base import mean_of_present
from annotate.types import Modality, Task


class Stopping:
    """State of early stopping for all members, on the CPU.

    `joint`: a member stops when its mean valid loss over the tasks has not fallen for `patience` epochs.

    `task-wise`: each task stops when its own valid loss has not fallen for `patience` epochs; from then on it
    no longer counts, so that shared weights serve the tasks that still improve (Zhang et al. 2014, TCDCN,
    section 3.3, who use the trend of train and valid loss instead of a plateau). The multimodal tasks are the
    main tasks: the member stops when all of them have stopped, and keeps the weights of the epoch with the
    lowest mean valid loss of the main tasks. All tasks keep the weights of the same epoch, because the heads
    depend on the shared representations. Without valid labels of a multimodal task, all tasks are main tasks;
    a task without valid labels never stops by itself.
    """

    def __init__(self, members: int, tasks: Sequence[Task], config: ModelConfig) -> None:
        self.patience, self.task_wise = config.patience, config.stopping == "task-wise"
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
        """By name, all tensors that change."""
        return {
            "best_loss": self.best_loss, "best_epoch": self.best_epoch, "ended": self.ended,
            "running": self.running, "task_loss": self.task_loss, "task_epoch": self.task_epoch,
            "active": self.active,
        }  # fmt: skip

    def unwatched(self, epoch: int) -> None:
        """Record an epoch without valid labels."""
        self.ended[:] = self.best_epoch[:] = epoch

    def update(self, epoch: int, losses: Tensor, present: Tensor) -> Tensor:
        """Record the valid losses (members, tasks); (members,) whether a member is better than before."""
        main = present & self.multimodal if self.task_wise else present
        main = torch.where(main.any(dim=-1, keepdim=True), main, present)
        loss = mean_of_present(losses, main)
        better = (loss < self.best_loss) & self.running
        self.best_loss = torch.where(better, loss, self.best_loss)
        self.best_epoch[better] = epoch
        self.ended[self.running] = epoch
        if self.task_wise:
            fell = losses < self.task_loss
            self.task_loss = torch.where(fell, losses, self.task_loss)
            self.task_epoch[fell | ~present] = epoch
            self.active &= epoch - self.task_epoch < self.patience
            self.running &= (self.active & main).any(dim=-1)
        else:
            self.running &= epoch - self.best_epoch < self.patience
        return better
