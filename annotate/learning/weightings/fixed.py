"""Constant weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from annotate.errors import ConfigError
from annotate.learning.weightings.base import Weighting, mean_of_present
from annotate.registry import weighting
from annotate.types import Modality, Task


@dataclass(frozen=True, slots=True)
class FixedOptions:
    """Options of `fixed`."""

    T: float = 1.0
    A: float = 1.0
    V: float = 1.0
    M: float = 1.0
    """Weight of the tasks of the modality, relative to the others."""

    def __post_init__(self) -> None:
        if not any((self.T, self.A, self.V, self.M)):
            raise ConfigError(
                "train.options.fixed gives every task a weight of 0, so that nothing is learned",
                hint="correct it in [train.options.fixed]",
            )


@weighting("fixed")
class Fixed(Weighting):
    """Given weights, equal by default: each task weighs the same, however many labels it has."""

    Options: ClassVar[type] = FixedOptions

    def __init__(self, tasks: Sequence[Task], members: int, options: Any) -> None:
        super().__init__(tasks, members, options)
        by_modality = {m: float(getattr(options, m.value)) for m in Modality}
        self.register_buffer(
            "weights", torch.tensor([by_modality[task.modality] for task in tasks]), persistent=False
        )

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """(members,) the mean over the tasks present, each loss times its weight."""
        return mean_of_present(losses * self.get_buffer("weights"), present)
