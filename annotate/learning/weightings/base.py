"""What a weighting is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from annotate.learning._part import Part
from annotate.types import Task


class Weighting(Part, nn.Module, ABC):
    """Per-task losses -> gradients. Made with the tasks, the number of members and options.

    Members stand in front everywhere: what one learns must not touch another. Parameters of its own are
    trained with the network's.
    """

    def __init__(self, tasks: Sequence[Task], members: int, options: Any) -> None:
        super().__init__()
        self.tasks, self.members, self.options = tuple(tasks), members, options

    @abstractmethod
    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """(members,) from the tasks' `losses` (members, tasks), zero where `present` (members, tasks) is
        False: the task had no label in this batch, or has stopped."""

    def backward(self, losses: Tensor, present: Tensor, penalty: Tensor, shared: Sequence[Tensor]) -> None:
        """Add to ``.grad`` of everything the losses depend on.

        `penalty` (members,) comes on top unweighted. `shared` are the parameters, each (members, ...), that
        more than one task uses.
        """
        torch.autograd.backward((self(losses, present) + penalty).sum())

    @property
    def direct(self) -> bool:
        """Whether `backward` is the one above: it then depends on tensors alone, and can be written down."""
        return type(self).backward is Weighting.backward

    def end_epoch(self, losses: Tensor) -> None:
        """Told each task's mean train loss (members, tasks) of the epoch; NaN where it had none."""


def mean_of_present(losses: Tensor, present: Tensor) -> Tensor:
    """(members,) the mean over the tasks that had labels; zero when none had."""
    there = present.to(losses.dtype)
    return (losses * there).sum(dim=-1) / there.sum(dim=-1).clamp(min=1)
