"""GradNorm: learned weights that let all tasks train at a similar rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from annotate.learning.weightings._gradients import task_gradients, used_by_most
from annotate.learning.weightings.base import Weighting, mean_of_present
from annotate.registry import weighting
from annotate.types import Task


@dataclass(frozen=True, slots=True)
class GradNormOptions:
    """Options of `gradnorm`."""

    asymmetry: float = 1.5
    """How strongly slow tasks are accelerated (alpha in the paper)."""
    rate: float = 0.025
    """Learning rate of the weights."""


@weighting("gradnorm")
class GradNorm(Weighting):
    """Weights that bring the tasks' gradients to a common size, larger for slow tasks (Chen et al. 2018).

    The gradients are those of the last layer that most tasks use.
    """

    Options: ClassVar[type] = GradNormOptions

    def __init__(self, tasks: Sequence[Task], members: int, options: Any) -> None:
        super().__init__(tasks, members, options)
        self.register_buffer("weights", torch.ones(members, len(tasks)))
        self.register_buffer("first", torch.full((members, len(tasks)), torch.nan))
        self.register_buffer("last", torch.tensor(-1))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """(members,) the mean over the tasks present, each loss times its weight."""
        return mean_of_present(losses * self.get_buffer("weights"), present)

    def backward(self, losses: Tensor, present: Tensor, penalty: Tensor, shared: Sequence[Tensor]) -> None:
        """The weights take a step (equation 2) before the gradient of the network is computed."""
        if int(present.any(dim=0).sum()) > 1:
            with torch.no_grad():
                self._balance(losses, present, shared)
        super().backward(losses, present, penalty, shared)

    def _balance(self, losses: Tensor, present: Tensor, shared: Sequence[Tensor]) -> None:
        weights, first = self.get_buffer("weights"), self.get_buffer("first")
        first.copy_(torch.where(first.isnan() & present, losses.detach(), first))
        with torch.enable_grad():
            layer = self._last_shared(losses, present, shared)
            if layer is None:
                return
            norms = task_gradients(losses, present, [layer]).norm(dim=-1)
        there = present.to(norms.dtype)
        count = there.sum(dim=1, keepdim=True).clamp(min=1)
        size = weights * norms
        slow = self._inverse_rate(losses.detach(), present) ** self.options.asymmetry
        wanted = (size * there).sum(dim=1, keepdim=True) / count * slow
        step = torch.sign(size - wanted) * norms / norms.amax(dim=1, keepdim=True).clamp(min=1e-12)
        moved = (weights - self.options.rate * step * there).clamp(min=1e-2)
        weights.copy_(moved * len(self.tasks) / moved.sum(dim=1, keepdim=True))

    def _inverse_rate(self, losses: Tensor, present: Tensor) -> Tensor:
        """(members, tasks) relative inverse training rate: each task's share of its first loss, 1 on average.
        A negative loss, such as a log-likelihood, has no such share: its task counts as average."""
        first = self.get_buffer("first")
        able = present & (losses >= 0) & (first >= 0)
        share = torch.where(able, losses / first.clamp(min=1e-12), 0.0)
        mean = share.sum(dim=1, keepdim=True) / able.sum(dim=1, keepdim=True).clamp(min=1)
        return torch.where(able, share / mean.clamp(min=1e-12), 1.0)

    def _last_shared(self, losses: Tensor, present: Tensor, shared: Sequence[Tensor]) -> Tensor | None:
        """The last weight matrix that most tasks use, chosen in the first batch with two tasks."""
        last = self.get_buffer("last")
        if int(last) < 0:
            used = used_by_most(losses, present, shared)
            matrices = [i for i, p in enumerate(shared) if used[i] and p.dim() > 2]
            if not matrices:
                return None
            last.fill_(matrices[-1])
        return shared[int(last)]
