"""What a head is, and how a task's scale and the network's unit scale relate."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from annotate.learning._part import Part
from annotate.learning.heads._answers import Shares
from annotate.types import Kind, Label, Task, TaskPrediction

Raw = NDArray[np.float64]
"""(members, n, outputs) what the members' heads said."""


@dataclass(frozen=True, slots=True)
class Target:
    """How a regression task's scale and the network's unit scale relate: value = centre + scale * output."""

    centre: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, task: Task, labels: Sequence[Label]) -> "Target":
        """Mean and spread of the train labels; a constant label keeps half the scale's width as spread."""
        if task.dimension.kind is not Kind.REGRESSION:
            return cls()
        values = np.array([float(label.value) for label in labels])
        half = (task.dimension.high - task.dimension.low) / 2
        spread = float(values.std())
        return cls(float(values.mean()), spread if spread > 1e-3 * half else half)


class Head(Part, nn.Module, ABC):
    """(n, hidden) representation -> (n, outputs). Made with `hidden`, its task and options; one linear
    layer."""

    kind: ClassVar[Kind]
    """Of the dimensions that it serves."""

    def __init__(self, hidden: int, task: Task, options: Any) -> None:
        super().__init__()
        self.task, self.options = task, options
        self.layer = nn.Linear(hidden, self.outputs(task))

    @classmethod
    @abstractmethod
    def outputs(cls, task: Task) -> int:
        """How many numbers it says about a sample."""

    @classmethod
    def width(cls, task: Task) -> int:
        """How many numbers a label becomes (see `encode`)."""
        return cls.outputs(task)

    @abstractmethod
    def encode(self, label: Label, target: Target) -> list[float]:
        """A label as the numbers that `loss` compares with, `width` of them."""

    def forward(self, representation: Tensor) -> Tensor:
        """Raw outputs."""
        return self.layer(representation)

    @abstractmethod
    def constant(self, mean: Tensor, half: float) -> Tensor:
        """(outputs,) that say `mean` (width,), the mean encoded label, of every sample. `half`, the share of
        half a label, is added to each answer where certainty would be infinite without."""

    def start(self, encoded: Tensor, weights: Tensor) -> None:
        """Begin with the answer that is best without features, so that the first epochs are not spent on
        unlearning chance, which is what most of them went into with 50 labels.

        `encoded` (n, width) are the train labels and `weights` (n,) how much each counts.
        """
        total = float(weights.sum())
        if total > 0:
            mean = (encoded * weights[:, None]).sum(dim=0) / total
            with torch.no_grad():
                self.layer.weight.zero_()
                self.layer.bias.copy_(self.constant(mean, 0.5 / total))

    @abstractmethod
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """(...,) of each sample, from (..., outputs) and (..., width); no parameter, no branch on numbers."""

    @abstractmethod
    def answer(self, raw: Raw) -> Raw:
        """(members, n, width) what was said, in the form that `encode` gives labels."""

    @abstractmethod
    def read(self, raw: Raw, target: Target, noise: float, shares: Shares = None) -> TaskPrediction:
        """What the members' outputs mean; `noise` is the standard deviation of label minus mean, on the scale
        (see `residuals`)."""

    def residuals(
        self, raw: Raw, encoded: NDArray[np.float64], shares: Shares = None
    ) -> NDArray[np.float64] | None:
        """(n,) label minus ensemble mean in unit scale, from which noise is measured; None where the head's
        answer holds its own noise. `encoded` is (n, width)."""
        return None
