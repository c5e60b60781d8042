"""How far tasks pull what they share in the same direction: a look at their gradients while they train.

Two tasks conflict in a step when the cosine between their gradients is negative (Yu et al. 2020, section 2).
It is asked while the members learn, not of the best weights: where the sum of two losses has its minimum, the
gradients of any two tasks point against each other.
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
"""Of the training's steps that may be spent on looking, see `GradientProbe.due`."""
FEWEST = 3
"""GradientProbe after which tasks that were never seen to share anything are looked at no more."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """How the gradients of two tasks agree on the weights that both use."""

    task: str
    other: str
    cosine: float
    """Between the two gradients, mean over the steps looked at: 1 the same direction, -1 the opposite one."""
    conflicting: float
    """Share of those steps with a negative cosine."""
    steps: int
    """That were looked at, those of each member by itself."""


class GradientProbe:
    """How far the gradients of each two tasks agreed so far, by member."""

    def __init__(self, heads: Sequence[Head], members: int) -> None:
        self.heads = heads
        self.sums = torch.zeros(3, members, len(heads), len(heads), dtype=torch.float64)
        """Of cosines, of conflicts, and of steps in which both tasks moved something that both use."""
        self.taken = torch.zeros((), dtype=torch.long)

    def tensors(self) -> dict[str, Tensor]:
        """By name, everything that changes."""
        return {"sums": self.sums, "taken": self.taken}

    def due(self, steps: int) -> bool:
        """Whether to look again after so many steps: one costs as much as a step and half of one per task."""
        cost = 1 + len(self.heads) / 2
        shared = int(self.taken) < FEWEST or any(True for _ in self._pairs())
        return len(self.heads) > 1 and shared and int(self.taken) * cost <= LARGEST_SHARE * steps

    def take(self, members: Members, batch: Batch) -> None:
        """Look at one step's `batch`, with the members in front: no dropout, and nothing is changed."""
        members.train(False)
        with torch.enable_grad():
            losses, present = task_losses(self.heads, members(batch.inputs), batch)
            products = _products(losses, list(members.parameters.values()))
        cosine, both = _cosines(products)
        both = both & present[:, :, None] & present[:, None, :]
        counts = torch.stack([torch.where(both, cosine, 0.0), both & (cosine < 0), both])
        self.sums += counts.to(self.sums)
        self.taken += 1

    def of(self, member: int) -> tuple[Conflict, ...]:
        """Of one member, the tasks that share weights, each two of them once."""
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
    """(parameters, members, tasks, tasks) of each parameter (members, ...), the inner products of the tasks'
    gradients; `losses` are (members, tasks)."""
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


def _cosines(products: Tensor) -> tuple[Tensor, Tensor]:
    """(members, tasks, tasks) over the parameters that both tasks move in any member, and whether the member
    moves some of them."""
    squares = products.diagonal(dim1=2, dim2=3)
    used = (squares > 0).any(dim=1)
    common = (used[:, :, None] & used[:, None, :]).unsqueeze(1)
    products = torch.where(common, products, 0.0).sum(dim=0)
    lengths = torch.where(common, squares.unsqueeze(3), 0.0).sum(dim=0)
    both = (lengths * lengths.transpose(1, 2)).sqrt()
    return products / torch.where(both > 0, both, 1.0), both > 0


def together(members: Iterable[Sequence[Conflict]]) -> tuple[Conflict, ...]:
    """Of all members, the pair that pulls apart most first."""
    by_pair: dict[tuple[str, str], list[Conflict]] = {}
    for member in members:
        for one in member:
            by_pair.setdefault((one.task, one.other), []).append(one)
    return tuple(sorted((_mean(same) for same in by_pair.values()), key=lambda one: one.cosine))


def _mean(same: Sequence[Conflict]) -> Conflict:
    steps = sum(one.steps for one in same)
    return Conflict(
        same[0].task,
        same[0].other,
        sum(one.cosine * one.steps for one in same) / steps,
        sum(one.conflicting * one.steps for one in same) / steps,
        steps,
    )
