"""Gradient surgery: conflicting parts of the tasks' gradients are removed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from annotate.learning.weightings._gradients import put, task_gradients
from annotate.learning.weightings.base import Weighting, mean_of_present
from annotate.registry import weighting


@weighting("pcgrad")
class PCGrad(Weighting):
    """Removes what opposes another task from each task's gradient (gradient surgery, Yu et al. 2020).

    Only gradients of weights that several tasks use are changed.
    """

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """(members,) the mean over the tasks present."""
        return mean_of_present(losses, present)

    def backward(self, losses: Tensor, present: Tensor, penalty: Tensor, shared: Sequence[Tensor]) -> None:
        """Algorithm 1, member by member; the sum is divided by the tasks present, as in `forward`.

        Only gradients of parameters that several tasks use are changed. The other tasks are visited in a
        fixed order, not a random one, so that a run can be repeated.
        """
        used = [p for p in shared if p.requires_grad]
        raw = task_gradients(losses, present, used)
        pieces = torch.split((raw != 0).any(dim=0), [p[0].numel() for p in used], dim=1)
        # (tasks, numbers) whether the task moves the parameter to which the number belongs, in any member.
        moves = torch.cat([piece.any(dim=1, keepdim=True).expand_as(piece) for piece in pieces], dim=1)
        common = moves.sum(dim=0) > 1
        projected = torch.where(common, project(raw * common), raw)
        count = present.to(raw.dtype).sum(dim=1, keepdim=True).clamp(min=1)
        put_used((projected * present.unsqueeze(-1)).sum(dim=1) / count, moves.any(dim=0), used)
        if penalty.requires_grad:
            torch.autograd.backward(penalty.sum())


def project(raw: Tensor) -> Tensor:
    """(members, tasks, numbers) each task's gradient without the components that oppose another task's."""
    norms = raw.square().sum(dim=-1).clamp(min=1e-12)
    rows = []
    for i in range(raw.shape[1]):
        row = raw[:, i]
        for j in range(raw.shape[1]):
            if j != i:
                against = (row * raw[:, j]).sum(dim=-1).clamp(max=0) / norms[:, j]
                row = row - against.unsqueeze(-1) * raw[:, j]
        rows.append(row)
    return torch.stack(rows, dim=1)


def put_used(gradient: Tensor, moved: Tensor, parameters: Sequence[Tensor]) -> None:
    """Like `put`, but parameters that no task `moved` (numbers,) get no gradient, so that the optimizer does
    not change them."""
    sizes = [p[0].numel() for p in parameters]
    touched = [bool(part.any()) for part in torch.split(moved, sizes)]
    pieces = torch.split(gradient, sizes, dim=1)
    chosen = [(g, p) for g, p, t in zip(pieces, parameters, touched, strict=True) if t]
    if chosen:
        put(torch.cat([g for g, _ in chosen], dim=1), [p for _, p in chosen])
