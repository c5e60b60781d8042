"""Soft parameter sharing by the trace norm of stacked weights."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar

import torch
from torch import Tensor

from annotate.learning.sharings._ties import stacked, ties
from annotate.learning.sharings._towers import TowerPerTask
from annotate.learning.sharings.base import Heads, NetworkPlan, zero_penalty
from annotate.learning.tensors import Inputs, Shared
from annotate.registry import sharing

SMOOTH = 1e-4
"""Added to squared singular values, so that the gradient at zero is finite; above float32 rounding."""


@dataclass(frozen=True, slots=True)
class TraceNormOptions:
    """Options of `soft-trace-norm`."""

    strength: float = 0.001
    """Weight in the loss of the sum of the trace norms of all layers; 0: the networks are independent."""


@sharing("soft-trace-norm")
class SoftTraceNorm(TowerPerTask):
    """A network per task, tied by the trace norm of their stacked weights (Yang and Hospedales 2017).

    Implementation notes: Each weight matrix of k networks is flattened to a row (the last-axis flattening
    of the paper); the fewer directions the k rows span, the smaller the penalty. Vectors (biases,
    normalisation) are not penalised.
    """

    Options: ClassVar[type] = TraceNormOptions

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, options)
        parameters = {tower: dict(module.named_parameters()) for tower, module in self.towers.items()}
        self.tied = {
            name: owners
            for name, owners in ties(self.towers).items()
            if parameters[owners[0]][name].dim() > 1
        }

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """Each task through its own tower."""
        representations = {task.id: self.tower(task)(inputs)[task.modality.value] for task in self.tasks}
        stacks = stacked(self.towers, self.tied).values()
        return Shared(
            representations,
            self.together(representations),
            zero_penalty(inputs) + self.options.strength * trace_norms(stacks),
        )


def trace_norms(stacks: Iterable[Tensor]) -> Tensor | float:
    """Sum of the singular values of all `stacks` (k, ...).

    Computed from the eigenvalues of the k x k products of rows, because their gradient is defined where two
    are equal, unlike that of singular vectors. Stacks of equal k are computed together.
    """
    total: Tensor | float = 0.0
    products = []
    for stack in stacks:
        with torch.autocast(stack.device.type, enabled=False):  # half precision would lose small values
            rows = stack.flatten(1)
            products.append(rows @ rows.T)
    products.sort(key=len)
    for _, group in groupby(products, key=len):
        squares = torch.linalg.eigvalsh(torch.stack(list(group)))
        total = total + (squares.clamp(min=0) + SMOOTH).sqrt().sum()
    return total
