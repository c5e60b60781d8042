"""The interface of a weighting."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from annotate.learning._part import Part
from annotate.types import Task


class Weighting(Part, nn.Module, ABC):
    """Per-task losses -> gradients. Made with the tasks, the number of members and options.

    The first axis is always that of the members, which must not influence each other. The weighting's own
    parameters are trained with those of the network.
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

        `penalty` (members,) is added unweighted. `shared` are the parameters, each (members, ...), that more
        than one task uses.
        """
        torch.autograd.backward((self(losses, present) + penalty).sum())

    @property
    def direct(self) -> bool:
        """Whether `backward` is not overridden; a training step is then a function of tensors alone."""
        return type(self).backward is Weighting.backward

    def end_epoch(self, losses: Tensor) -> None:
        """Called with each task's mean train loss (members, tasks) of the epoch, NaN without labels."""


def mean_of_present(losses: Tensor, present: Tensor) -> Tensor:
    """(members,) the mean over the tasks present, zero if none is."""
    there = present.to(losses.dtype)
    return (losses * there).sum(dim=-1) / there.sum(dim=-1).clamp(min=1)
