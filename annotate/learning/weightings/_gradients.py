"""The gradient of each task's loss by the shared parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor


def task_gradients(losses: Tensor, present: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """(members, tasks, numbers) the gradients of each task's loss by all `parameters`, flattened.

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
    """For each parameter, whether at least two tasks use it and no other is used by more of those present.

    A task that does not use a parameter has a zero gradient there, because the losses share one tensor and
    all depend on what any of them depends on.
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
