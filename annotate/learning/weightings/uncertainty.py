"""Uncertainty weighting: a learned noise per task; noisy tasks get a smaller weight."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning.weightings.base import Weighting, mean_of_present
from annotate.registry import weighting
from annotate.types import Kind, Task


@dataclass(frozen=True, slots=True)
class UncertaintyOptions:
    """Options of `uncertainty`."""

    bound: float = 4.0
    """The log-variance stays between minus and plus this number."""
    rate: float = 20.0
    """Learning rate of the noise, as a multiple of the network's, at which the noise would hardly change in a
    few hundred steps."""

    def __post_init__(self) -> None:
        if self.bound <= 0:
            raise ConfigError(
                f"train.options.uncertainty.bound cannot be {self.bound}",
                hint="it has to be above 0; correct it in [train.options.uncertainty]",
            )


@weighting("uncertainty")
class Uncertainty(Weighting):
    """Weights from a learned noise per task and member (homoscedastic uncertainty, Kendall et al. 2018).

    The noisier a task, the less it weighs.
    """

    Options: ClassVar[type] = UncertaintyOptions

    def __init__(self, tasks: Sequence[Task], members: int, options: Any) -> None:
        super().__init__(tasks, members, options)
        self.raw = nn.Parameter(torch.zeros(members, len(tasks)))
        halves = [0.5 if task.dimension.kind is Kind.REGRESSION else 1.0 for task in tasks]
        self.register_buffer("factor", torch.tensor(halves))

    def log_variance(self) -> Tensor:
        """(members, tasks) s = log sigma², bounded by a hyperbolic tangent."""
        return self.options.bound * torch.tanh(self.options.rate * self.raw / self.options.bound)

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """(members,) mean over the tasks present of ½ e^-s L + ½ s; classes: e^-s L + ½ s (section 3.2)."""
        s = self.log_variance()
        return mean_of_present(self.get_buffer("factor") * torch.exp(-s) * losses + 0.5 * s, present)
