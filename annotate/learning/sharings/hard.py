"""One trunk for all tasks."""

from typing import Any

from annotate.learning.sharings._base import Heads, Plan, Sharing, Tower, nothing
from annotate.learning.tensors import Inputs, Shared
from annotate.registry import sharing
from annotate.types import Modality


@sharing("hard")
class Hard(Sharing):
    """One trunk for all tasks, a head each (hard parameter sharing, Caruana 1997)."""

    def __init__(self, plan: Plan, options: Any) -> None:
        super().__init__(plan, options)
        self.tower = Tower(plan)

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """A task of one modality reads that modality only, a multimodal one the fusion."""
        codes = self.tower(inputs)
        return Shared(
            {task.id: codes[task.modality.value] for task in self.tasks},
            codes[Modality.MULTIMODAL.value],
            nothing(inputs),
        )
