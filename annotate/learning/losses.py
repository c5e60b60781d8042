"""What each head is punished for; a label that is missing costs nothing and moves nothing."""

from collections.abc import Sequence

import torch
from torch import Tensor

from annotate.learning.batches import Batch
from annotate.learning.heads._base import Head
from annotate.learning.tensors import Output


def task_losses(
    heads: Sequence[Head], output: Output, batch: Batch, counted: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(..., tasks) weighted mean loss over the labelled samples of each task, and whether it had any.

    Whatever stands in front of the samples in `batch` (the members) stands in front here. Filler is replaced
    before anything is computed with it: the gradient is exactly zero whatever stands there, NaN included
    (a factor of zero would pass a NaN on). `counted` (..., tasks), on the CPU, says whose loss matters: the
    others are zero and not present, and a task that counts nowhere is no part of the graph at all.
    """
    means, present = [], []
    for i, head in enumerate(heads):
        known, weights = batch.known[head.task.id], batch.weights[head.task.id]
        if counted is not None and not bool(counted[..., i].any()):
            means.append(weights.new_zeros(weights.shape[:-1]))
            present.append(torch.zeros_like(known[..., 0]))
            continue
        target = torch.where(known.unsqueeze(-1), batch.targets[head.task.id], 0.0)
        share = torch.where(known, weights, 0.0)
        losses = torch.where(known, head.loss(output.heads[head.task.id].float(), target), 0.0)
        total = share.sum(dim=-1)
        means.append((losses * share).sum(dim=-1) / torch.where(total > 0, total, 1.0))
        present.append(total > 0)
    found, there = torch.stack(means, dim=-1), torch.stack(present, dim=-1)
    if counted is not None:
        there = there & counted.to(there.device)
    return found, there
