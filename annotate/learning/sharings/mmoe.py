"""Multi-gate mixture of experts."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from annotate.errors import ConfigError
from annotate.learning.sharings._experts import Experts, mixture
from annotate.learning.sharings._towers import key
from annotate.learning.sharings.base import Heads, NetworkPlan, Sharing, Tower, zero_penalty
from annotate.learning.tensors import Inputs, Shared
from annotate.registry import sharing
from annotate.types import Modality


@dataclass(frozen=True, slots=True)
class MmoeOptions:
    """Options of `mmoe`."""

    experts: int = 4
    """Number of experts."""


@sharing("mmoe")
class Mmoe(Sharing):
    """Shared experts, weighted by a gate per task (multi-gate mixture of experts, Ma et al. 2018).

    Implementation notes: The experts take the place of the shared layer, on top of the encoders and of the
    fusion.
    """

    Options: ClassVar[type] = MmoeOptions

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, options)
        if options.experts < 1:
            raise ConfigError(
                "train.options.mmoe.experts has to be 1 or more", hint="set it in [train.options.mmoe]"
            )
        self.tower = Tower(plan, shared=nn.Identity())
        self.experts = Experts(plan.hidden, options.experts, plan.dropout)
        self.gates = nn.ModuleDict({key(t): nn.Linear(plan.hidden, options.experts) for t in plan.tasks})

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """Every expert reads each representation once; each task mixes the outputs with its own gate."""
        representations = self.tower(inputs)
        answers = {
            m: self.experts(representations[m]) for m in {task.modality.value: None for task in self.tasks}
        }
        mixed = {}
        for task in self.tasks:
            representation = representations[task.modality.value]
            gates = self.gates[key(task)](representation).softmax(dim=-1)
            mixed[task.id] = representation + mixture(gates, answers[task.modality.value])
            if task.modality is not Modality.MULTIMODAL:
                mixed[task.id] = mixed[task.id] * inputs.present(task.modality.value)
        return Shared(mixed, representations[Modality.MULTIMODAL.value], zero_penalty(inputs))
