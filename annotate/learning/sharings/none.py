"""A separate network per task: the control for the other sharings."""

from annotate.learning.sharings._towers import TowerPerTask
from annotate.learning.sharings.base import Heads, zero_penalty
from annotate.learning.tensors import Inputs, Shared
from annotate.registry import sharing


@sharing("none")
class SingleTask(TowerPerTask):
    """A separate network per task: nothing is shared (the control).

    A unimodal task builds the encoder of its own modality only.
    """

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """Each task through its own tower."""
        representations = {task.id: self.tower(task)(inputs)[task.modality.value] for task in self.tasks}
        return Shared(representations, self.together(representations), zero_penalty(inputs))
