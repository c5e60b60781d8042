"""What one batch teaches: each task's loss, and the gradient of everything that is learned."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functional_call

from annotate.learning.batches import Batch
from annotate.learning.losses import task_losses
from annotate.learning.members import Members
from annotate.learning.traced import Found, Traced
from annotate.learning.weightings._base import Weighting


class Lesson:
    """Forward and back for all members at once, written down (see `Traced`) where that can be."""

    def __init__(self, members: Members, weighting: Weighting) -> None:
        self.members, self.weighting = members, weighting
        self.heads = [members.net.head(task) for task in members.net.tasks]
        self.own = dict(weighting.named_parameters())
        self.learned = [*members.parameters.values(), *self.own.values()]
        self.kept = [*members.buffers.values(), *weighting.buffers()]
        self.traced = Traced(self._written)
        self.like: Batch | None = None

    def __call__(self, batch: Batch, counted: Tensor) -> tuple[Tensor, Tensor]:
        """(members, tasks) losses and whether they are learned from; the gradients lie in ``.grad``.

        `counted` as in `task_losses`.
        """
        found = self._quickly(batch, counted)
        if found is None:
            return self._step_by_step(batch, counted)
        losses, present, *gradients = found
        for parameter, gradient in zip(self.learned, gradients, strict=True):
            parameter.grad = gradient
        assert losses is not None and present is not None
        return losses, present

    def _step_by_step(self, batch: Batch, counted: Tensor) -> tuple[Tensor, Tensor]:
        for parameter in self.learned:
            parameter.grad = None
        output = self.members(batch.inputs)
        losses, present = task_losses(self.heads, output, batch, counted)
        self.weighting.backward(losses, present, output.penalty, list(self.members.parameters.values()))
        return losses.detach(), present

    def _quickly(self, batch: Batch, counted: Tensor) -> Found | None:
        able = self.members.vectorised and self.weighting.direct and self.members.net.training
        if not able or torch.is_autocast_enabled(batch.device.type):
            return None
        self.like = batch = replace(batch, inputs=self.members.shown(batch.inputs))
        given = [*self.learned, *self.kept, counted.to(batch.device), *batch.tensors()]
        shape = tuple(values.shape for values in batch.inputs.values.values())
        return self.traced(tuple(counted.any(dim=0).tolist()), given, shape)

    def _written(self, asked: Sequence[bool], tensors: Sequence[Tensor]) -> Found:
        """The same as `_step_by_step`, as a function of tensors: nothing is kept in ``.grad``."""
        assert self.like is not None
        rest = iter(tensors)
        net = {name: next(rest).detach().requires_grad_() for name in self.members.parameters}
        own = {name: next(rest).detach().requires_grad_() for name in self.own}
        buffers = {name: next(rest) for name in self.members.buffers}
        weighing = {name: next(rest) for name, _ in self.weighting.named_buffers()}
        counted, batch = next(rest), self.like.of(list(rest))
        with torch.enable_grad():
            output = self.members.together({**net, **buffers}, batch.inputs)
            losses, present = task_losses(self.heads, output, batch, counted, asked)
            weighed = functional_call(self.weighting, {**own, **weighing}, (losses, present))
            total = (weighed + output.penalty).sum()
            gradients = torch.autograd.grad(total, [*net.values(), *own.values()], allow_unused=True)
        # In the order of its parameter's numbers: the fused optimizer looks at nothing else.
        return [losses.detach(), present, *(None if g is None else g.contiguous() for g in gradients)]
