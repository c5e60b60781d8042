"""The loss of each task over its labelled samples; missing labels have no effect on loss or gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor

from annotate.learning.batches import Batch
from annotate.learning.heads.base import Head
from annotate.learning.tensors import Output


def task_losses(
    heads: Sequence[Head],
    output: Output,
    batch: Batch,
    counted: Tensor | None = None,
    asked: Sequence[bool] | None = None,
) -> tuple[Tensor, Tensor]:
    """(..., tasks) weighted mean loss over the labelled samples of each task, and whether it has any.

    Leading axes of `batch` (the members) are kept. Filler is replaced before the loss is computed, so that
    the gradient is exactly zero even if the filler is NaN (a factor of zero would propagate NaN). `counted`
    (..., tasks) selects the losses that matter: the others are zero and not present, and a task that counts
    nowhere is not part of the graph. `asked` (tasks) says which tasks count anywhere, if the caller knows.
    """
    if counted is not None and asked is None:
        asked = counted.flatten(0, -2).any(dim=0).tolist()
    chosen = [i for i in range(len(heads)) if asked is None or asked[i]]
    means, present = _means([heads[i] for i in chosen], output, batch)
    if len(chosen) < len(heads):  # zeros for the other heads
        parts = zip(means.unbind(-1), present.unbind(-1), strict=True)
        columns = dict(zip(chosen, parts, strict=True))
        empty = means.new_zeros(means.shape[:-1]), present.new_zeros(present.shape[:-1])
        filled = [columns.get(i, empty) for i in range(len(heads))]
        means, present = (torch.stack(part, dim=-1) for part in zip(*filled, strict=True))
    return means, present if counted is None else present & counted.to(present.device)


def _means(heads: Sequence[Head], output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
    """As `task_losses`, of `heads`. The samples are the last axis, so that one operation serves all heads."""
    known = torch.stack([batch.known[head.task.id] for head in heads], dim=-2)
    share = torch.where(known, torch.stack([batch.weights[head.task.id] for head in heads], dim=-2), 0.0)
    losses_by_head = []
    for head in heads:
        there = batch.known[head.task.id].unsqueeze(-1)
        target = torch.where(there, batch.targets[head.task.id], 0.0)
        losses_by_head.append(head.loss(output.heads[head.task.id].float(), target))
    losses = torch.where(known, torch.stack(losses_by_head, dim=-2), 0.0)
    total = share.sum(dim=-1)
    return (losses * share).sum(dim=-1) / torch.where(total > 0, total, 1.0), total > 0
