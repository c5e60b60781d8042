"""Each task's own gradient of what is shared, for weightings and reports that look at gradients."""

from collections.abc import Sequence

import torch
from torch import Tensor


def task_gradients(losses: Tensor, present: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """(members, tasks, numbers) the gradient of each task's loss, all `parameters` (members, ...) in a row.

    Zero for a task that is absent or does not use a parameter. `losses` are (members, tasks).
    """
    rows: list[Tensor | None] = []
    for task in range(losses.shape[1]):
        if not bool(present[:, task].any()):
            rows.append(None)
            continue
        gradients = torch.autograd.grad(
            losses[:, task].sum(), parameters, retain_graph=True, allow_unused=True
        )
        flat = [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, parameters, strict=True)]
        rows.append(torch.cat([g.flatten(1) for g in flat], dim=1))
    size = sum(p[0].numel() for p in parameters)
    empty = losses.new_zeros(losses.shape[0], size)
    return torch.stack([empty if row is None else row for row in rows], dim=1)


def used_by_most(losses: Tensor, present: Tensor, parameters: Sequence[Tensor]) -> list[bool]:
    """Of each parameter whether no other moves more of the tasks present, and at least two of them do.

    A task that does not use a parameter has a gradient of zero there: losses that stand side by side in one
    tensor depend on whatever any of them depends on.
    """
    counts = [0] * len(parameters)
    for task in range(losses.shape[1]):
        if bool(present[:, task].any()):
            gradients = torch.autograd.grad(
                losses[:, task].sum(), parameters, retain_graph=True, allow_unused=True
            )
            counts = [
                n + int(g is not None and bool(g.any())) for n, g in zip(counts, gradients, strict=True)
            ]
    most = max(counts, default=0)
    return [n == most > 1 for n in counts]


def put(gradient: Tensor, parameters: Sequence[Tensor]) -> None:
    """Add a flat gradient (members, numbers) to the parameters' ``.grad``."""
    pieces = torch.split(gradient, [p[0].numel() for p in parameters], dim=1)
    for piece, parameter in zip(pieces, parameters, strict=True):
        shaped = piece.reshape(parameter.shape)
        parameter.grad = shaped.clone() if parameter.grad is None else parameter.grad + shaped
