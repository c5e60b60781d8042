"""How far the gradients of the tasks agree on shared weights, measured during the training.

Two tasks conflict in a step when the cosine between their gradients is negative (Yu et al. 2020, section 2).
It is measured during the training, not at the best weights: at a minimum of the sum of two losses, their
gradients always point in opposite directions.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from annotate.learning.batches import Batch
from annotate.learning.heads.base import Head
from annotate.learning.losses import task_losses
from annotate.learning.members import Members

LARGEST_SHARE = 0.03
"""Largest share of the steps of a training that may be spent on probes, see `GradientProbe.due`."""
FEWEST = 3
"""Probes after which tasks without a shared weight are not probed again."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """How far the gradients of two tasks agree on the weights that both use."""

    task: str
    other: str
    cosine: float
    """Cosine between the two gradients, mean over the probed steps: 1 same, -1 opposite direction."""
    conflicting: float
    """Share of the probed steps with a negative cosine."""
    steps: int
    """Probed steps, counted for each member."""


class GradientProbe:
    """Accumulates how far the gradients of each pair of tasks agree, by member."""

    def __init__(self, heads: Sequence[Head], members: int) -> None:
        self.heads = heads
        self.sums = torch.zeros(3, members, len(heads), len(heads), dtype=torch.float64)
        """Sums of cosines, of conflicts, and of steps in which both tasks have a gradient on shared
        weights."""
        self.taken = torch.zeros((), dtype=torch.long)

    def tensors(self) -> dict[str, Tensor]:
        """By name, all tensors that change."""
        return {"sums": self.sums, "taken": self.taken}

    def due(self, steps: int) -> bool:
        """Whether to probe again after this many steps; a probe costs a step plus half a step per task."""
        cost = 1 + len(self.heads) / 2
        shared = int(self.taken) < FEWEST or any(True for _ in self._pairs())
        return len(self.heads) > 1 and shared and int(self.taken) * cost <= LARGEST_SHARE * steps

    def take(self, members: Members, batch: Batch) -> None:
        """Probe the gradients for `batch`, with a member axis; without dropout and without changing
        weights."""
        members.train(False)
        with torch.enable_grad():
            losses, present = task_losses(self.heads, members(batch.inputs), batch)
            products = _products(losses, list(members.parameters.values()))
        # Cosines over the parameters that both tasks move in any member.
        squares = products.diagonal(dim1=2, dim2=3)
        used = (squares > 0).any(dim=1)
        common = (used[:, :, None] & used[:, None, :]).unsqueeze(1)
        lengths = torch.where(common, squares.unsqueeze(3), 0.0).sum(dim=0)
        norms = (lengths * lengths.transpose(1, 2)).sqrt()
        both = norms > 0
        cosine = torch.where(common, products, 0.0).sum(dim=0) / torch.where(both, norms, 1.0)
        both = both & present[:, :, None] & present[:, None, :]
        counts = torch.stack([torch.where(both, cosine, 0.0), both & (cosine < 0), both])
        self.sums += counts.to(self.sums)
        self.taken += 1

    def of(self, member: int) -> tuple[Conflict, ...]:
        """The results of one member for each pair of tasks that share weights."""
        ids = [head.task.id for head in self.heads]
        result = []
        for a, b in self._pairs():
            cosine, conflicts, steps = self.sums[:, member, a, b].tolist()
            if steps:
                result.append(Conflict(ids[a], ids[b], cosine / steps, conflicts / steps, int(steps)))
        return tuple(result)

    def _pairs(self) -> Iterator[tuple[int, int]]:
        shared = self.sums[2].any(dim=0)
        return ((a, b) for a, b in combinations(range(len(self.heads)), 2) if shared[a, b])


def _products(losses: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """(parameters, members, tasks, tasks) inner products of the tasks' gradients by each parameter; `losses`
    are (members, tasks)."""
    gradients = [
        torch.autograd.grad(loss.sum(), parameters, retain_graph=True, allow_unused=True)
        for loss in losses.unbind(dim=1)
    ]
    products = []
    for of_tasks, parameter in zip(zip(*gradients, strict=True), parameters, strict=True):
        filled = [torch.zeros_like(parameter) if g is None else g for g in of_tasks]
        stacked = torch.stack([g.flatten(1) for g in filled], dim=1)
        products.append(stacked @ stacked.transpose(1, 2))
    return torch.stack(products)


def together(members: Iterable[Sequence[Conflict]]) -> tuple[Conflict, ...]:
    """The mean over all members for each pair of tasks, the lowest cosine first."""
    by_pair: dict[tuple[str, str], list[Conflict]] = {}
    for member in members:
        for one in member:
            by_pair.setdefault((one.task, one.other), []).append(one)
    means = []
    for (task, other), same in by_pair.items():
        steps = sum(one.steps for one in same)
        cosine = sum(one.cosine * one.steps for one in same) / steps
        conflicting = sum(one.conflicting * one.steps for one in same) / steps
        means.append(Conflict(task, other, cosine, conflicting, steps))
    return tuple(sorted(means, key=lambda one: one.cosine))
