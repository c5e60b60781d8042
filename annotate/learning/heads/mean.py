"""Regression head that predicts the mean."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from annotate.learning.heads._answers import Shares, average, regression
from annotate.learning.heads.base import Head, RawOutputs, Target
from annotate.registry import head
from annotate.types import Kind, Label, Task, TaskPrediction


@dataclass(frozen=True, slots=True)
class MeanOptions:
    """Options of `mean`."""

    bend: float = 2.0
    """Error from which the squared error becomes linear, in units of the labels' spread; 0: absolute error
    (L1)."""


@head("mean")
class Mean(Head):
    """A number on a scale, with one noise for the task, measured on valid labels (Huber 1964)."""

    kind = Kind.REGRESSION
    Options: ClassVar[type] = MeanOptions

    @classmethod
    def outputs(cls, task: Task) -> int:
        """The value in unit scale."""
        return 1

    def encode(self, label: Label, target: Target) -> list[float]:
        """The value in unit scale."""
        return [(float(label.value) - target.centre) / target.scale]

    def constant(self, mean: Tensor, half: float) -> Tensor:
        """The mean itself."""
        return mean

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Huber loss in units of the labels' spread, which limits the influence of outliers."""
        return functional.smooth_l1_loss(
            raw[..., 0], target[..., 0], reduction="none", beta=self.options.bend
        )

    def answer(self, raw: RawOutputs) -> RawOutputs:
        """The value in unit scale."""
        return raw[..., :1]

    def read(self, raw: RawOutputs, target: Target, noise: float, shares: Shares = None) -> TaskPrediction:
        """A normal distribution around each member's value."""
        return regression(self.task, target.centre + target.scale * raw[..., 0], noise, shares)

    def residuals(
        self, raw: RawOutputs, encoded: NDArray[np.float64], shares: Shares = None
    ) -> NDArray[np.float64]:
        """Label minus the mean over the members."""
        return encoded[:, 0] - average(raw[..., 0], shares)
