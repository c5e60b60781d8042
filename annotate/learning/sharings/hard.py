"""Hard parameter sharing: one trunk for all tasks."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from annotate.learning.sharings.base import Heads, NetworkPlan, Sharing, Tower, zero_penalty
from annotate.learning.tensors import Inputs, Shared
from annotate.registry import sharing
from annotate.types import Modality


@dataclass(frozen=True, slots=True)
class HardOptions:
    """Options of `hard`."""

    trunk: bool = True
    """Whether the modalities share a layer too; without it, tasks share only the encoders and the fusion."""


@sharing("hard")
class Hard(Sharing):
    """One shared trunk with a head per task (hard parameter sharing, Caruana 1997)."""

    Options: ClassVar[type] = HardOptions

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, options)
        self.tower = Tower(plan, shared=None if options.trunk else nn.Identity())

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """A unimodal task reads the representation of its modality, a multimodal task the fused one."""
        representations = self.tower(inputs)
        return Shared(
            {task.id: representations[task.modality.value] for task in self.tasks},
            representations[Modality.MULTIMODAL.value],
            zero_penalty(inputs),
        )
