"""What each head is punished for; a label that is missing costs nothing and moves nothing."""

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
    """(..., tasks) weighted mean loss over the labelled samples of each task, and whether it had any.

    Whatever stands in front of the samples in `batch` (the members) stands in front here. Filler is replaced
    before anything is computed with it: the gradient is exactly zero whatever stands there, NaN included
    (a factor of zero would pass a NaN on). `counted` (..., tasks) says whose loss matters: the others are
    zero and not present, and a task that counts nowhere is no part of the graph at all. `asked` (tasks) says
    which count anywhere, for those who know already.
    """
    if counted is not None and asked is None:
        asked = counted.flatten(0, -2).any(dim=0).tolist()
    chosen = [i for i in range(len(heads)) if asked is None or asked[i]]
    means, present = _means([heads[i] for i in chosen], output, batch)
    if len(chosen) < len(heads):
        means, present = (_spread(part, chosen, len(heads)) for part in (means, present))
    return means, present if counted is None else present & counted.to(present.device)


def _means(heads: Sequence[Head], output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
    """(..., heads) both. The samples come last, so that one operation serves all heads."""
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


def _spread(part: Tensor, chosen: Sequence[int], count: int) -> Tensor:
    """(..., chosen) -> (..., count), zeros in between."""
    columns = dict(zip(chosen, part.unbind(-1), strict=True))
    empty = part.new_zeros(part.shape[:-1])
    return torch.stack([columns.get(i, empty) for i in range(count)], dim=-1)
