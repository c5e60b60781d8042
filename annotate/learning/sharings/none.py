"""A network per task, side by side: the control that every other sharing has to beat."""

from annotate.learning.sharings._towers import TowerPerTask
from annotate.learning.sharings.base import Heads, nothing
from annotate.learning.tensors import Inputs, Shared
from annotate.registry import sharing


@sharing("none")
class Apart(TowerPerTask):
    """A separate network per task: nothing is shared (the control).

    A unimodal task builds the encoder of its own modality only.
    """

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """Each task through its own tower."""
        representations = {task.id: self.tower(task)(inputs)[task.modality.value] for task in self.tasks}
        return Shared(representations, self.together(representations), nothing(inputs))
