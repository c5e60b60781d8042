"""Regression head that predicts a mean and a variance per sample."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from annotate.learning.heads._answers import Shares, regression
from annotate.learning.heads.base import Head, RawOutputs, Target
from annotate.registry import head
from annotate.types import Kind, Label, Task, TaskPrediction

WIDEST = 5.0
"""The log-variance stays between minus and plus this, in unit scale."""


@dataclass(frozen=True, slots=True)
class GaussianOptions:
    """Options of `gaussian`."""

    beta: float = 0.5
    """0: the plain likelihood; towards 1, noisy samples have more influence on the mean."""


@head("gaussian")
class Gaussian(Head):
    """Mean and variance of a normal distribution per sample (Nix & Weigend 1994; Seitzer et al. 2022).

    Each sample has its own noise.
    """

    kind = Kind.REGRESSION
    Options: ClassVar[type] = GaussianOptions

    @classmethod
    def outputs(cls, task: Task) -> int:
        """Mean and log-variance before its bounds, in unit scale."""
        return 2

    @classmethod
    def width(cls, task: Task) -> int:
        """The value."""
        return 1

    def encode(self, label: Label, target: Target) -> list[float]:
        """The value in unit scale."""
        return [(float(label.value) - target.centre) / target.scale]

    def constant(self, mean: Tensor, half: float) -> Tensor:
        """The mean, and the variance of the labels (log-variance 0 in unit scale)."""
        return torch.cat([mean, torch.zeros_like(mean)])

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Negative log-likelihood without its constant, times the variance (held fixed) to the power beta."""
        log_variance = WIDEST * torch.tanh(raw[..., 1] / WIDEST)
        error = (raw[..., 0] - target[..., 0]).square()
        likelihood = 0.5 * (error * torch.exp(-log_variance) + log_variance)
        return likelihood * torch.exp(self.options.beta * log_variance.detach())

    def answer(self, raw: RawOutputs) -> RawOutputs:
        """The value in unit scale."""
        return raw[..., :1]

    def read(self, raw: RawOutputs, target: Target, noise: float, shares: Shares = None) -> TaskPrediction:
        """The normal distribution of each member."""
        spread = np.exp(0.5 * WIDEST * np.tanh(raw[..., 1] / WIDEST))
        return regression(
            self.task, target.centre + target.scale * raw[..., 0], target.scale * spread, shares
        )
