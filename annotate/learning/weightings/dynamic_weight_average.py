"""Dynamic weight average: tasks whose loss falls slowly get a larger weight."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from annotate.errors import ConfigError
from annotate.learning.weightings.base import Weighting, mean_of_present
from annotate.registry import weighting
from annotate.types import Task


@dataclass(frozen=True, slots=True)
class DynamicOptions:
    """Options of `dynamic-weight-average`."""

    temperature: float = 2.0
    """The higher, the more equal the weights."""

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ConfigError(
                f"train.options.dynamic-weight-average.temperature cannot be {self.temperature}",
                hint="it has to be above 0; correct it in [train.options.dynamic-weight-average]",
            )


@weighting("dynamic-weight-average")
class DynamicWeightAverage(Weighting):
    """Larger weights for losses that fell slowly over two epochs (Liu et al. 2019, section 3.3)."""

    Options: ClassVar[type] = DynamicOptions

    def __init__(self, tasks: Sequence[Task], members: int, options: Any) -> None:
        super().__init__(tasks, members, options)
        self.register_buffer("weights", torch.ones(members, len(tasks)))
        self.register_buffer("before", torch.full((members, len(tasks)), torch.nan))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """(members,) the mean over the tasks present, each loss times its weight, 1 on average."""
        return mean_of_present(losses * self.get_buffer("weights"), present)

    def end_epoch(self, losses: Tensor) -> None:
        """Softmax of the ratio of each task's loss to that of the epoch before. The ratio is 1 if one of the
        two is missing or negative, as a log-likelihood can be."""
        before = self.get_buffer("before")
        now = losses.to(before)
        ratio = torch.where((now >= 0) & (before >= 0), now / before.clamp(min=1e-12), 1.0)
        shares = torch.softmax(ratio / self.options.temperature, dim=-1)
        self.get_buffer("weights").copy_(shares * len(self.tasks))
        before.copy_(torch.where(now.isnan(), before, now))
