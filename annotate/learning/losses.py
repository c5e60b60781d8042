"""What each head is punished for; a label that is missing costs nothing and moves nothing."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from annotate.learning.batches import Batch
from annotate.types import Kind, Task


def task_losses(tasks: Sequence[Task], outputs: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """Mean loss of each task over its labelled samples, by task id; tasks without a label here are absent.

    Missing labels are left out before anything is computed with them, so that their gradient is exactly
    zero whatever filler stands there, NaN included (a factor of zero would pass a NaN on).
    """
    losses: dict[str, Tensor] = {}
    for task in tasks:
        known = batch.known[task.id]
        if known.any():
            losses[task.id] = _loss(task, outputs[task.id][known], batch.targets[task.id][known])
    return losses


def _loss(task: Task, output: Tensor, target: Tensor) -> Tensor:
    """Squared error in units of the label's spread, bent to linear past two of them so that one odd label
    does not lead; cross-entropy against the shares of the raters, so that a split vote is learned as such."""
    if task.dimension.kind is Kind.REGRESSION:
        return functional.smooth_l1_loss(output.squeeze(-1), target, beta=2.0)
    return functional.cross_entropy(output, target)


def total_loss(losses: Mapping[str, Tensor]) -> Tensor:
    """The mean over tasks: each task weighs the same, however many labels it has."""
    return torch.stack(list(losses.values())).mean()
