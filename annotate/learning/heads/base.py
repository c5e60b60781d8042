"""The interface of a head, and the scaling of regression labels."""

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

RawOutputs = NDArray[np.float64]
"""(members, n, outputs) raw outputs of the members' heads."""


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
    """The kind of the dimensions that it predicts."""

    def __init__(self, hidden: int, task: Task, options: Any) -> None:
        super().__init__()
        self.task, self.options = task, options
        self.layer = nn.Linear(hidden, self.outputs(task))

    @classmethod
    @abstractmethod
    def outputs(cls, task: Task) -> int:
        """Number of outputs per sample."""

    @classmethod
    def width(cls, task: Task) -> int:
        """Length of an encoded label (see `encode`)."""
        return cls.outputs(task)

    @abstractmethod
    def encode(self, label: Label, target: Target) -> list[float]:
        """The label as `width` numbers, with which `loss` compares the outputs."""

    def forward(self, representation: Tensor) -> Tensor:
        """Raw outputs."""
        return self.layer(representation)

    @abstractmethod
    def constant(self, mean: Tensor, half: float) -> Tensor:
        """(outputs,) outputs that predict `mean` (width,), the mean encoded label, for every sample. `half`,
        the share of half a label, is added to each answer so that log-odds stay finite."""

    def start(self, encoded: Tensor, weights: Tensor) -> None:
        """Initialise the layer to predict the mean label, which saves most of the epochs with few labels.

        `encoded` (n, width) are the train labels and `weights` (n,) their weights.
        """
        total = float(weights.sum())
        if total > 0:
            mean = (encoded * weights[:, None]).sum(dim=0) / total
            with torch.no_grad():
                self.layer.weight.zero_()
                self.layer.bias.copy_(self.constant(mean, 0.5 / total))

    @abstractmethod
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """(...,) loss of each sample from (..., outputs) and (..., width), without data-dependent
        branches."""

    @abstractmethod
    def answer(self, raw: RawOutputs) -> RawOutputs:
        """(members, n, width) the predictions in the form of encoded labels."""

    @abstractmethod
    def read(self, raw: RawOutputs, target: Target, noise: float, shares: Shares = None) -> TaskPrediction:
        """The prediction that the members' outputs stand for; `noise` is the standard deviation of label
        minus mean, on the scale (see `residuals`)."""

    def residuals(
        self, raw: RawOutputs, encoded: NDArray[np.float64], shares: Shares = None
    ) -> NDArray[np.float64] | None:
        """(n,) label minus ensemble mean in unit scale, for estimating the noise; None if the head predicts
        its own noise. `encoded` is (n, width)."""
        return None
