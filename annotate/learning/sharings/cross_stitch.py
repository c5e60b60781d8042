"""A network per task; each layer reads learned mixtures of the representations of all networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from annotate.learning.fusions.base import Fusion
from annotate.learning.sharings._towers import TowerPerTask
from annotate.learning.sharings.base import Heads, NetworkPlan, zero_penalty
from annotate.learning.tensors import Inputs, Representation, Shared
from annotate.registry import sharing
from annotate.types import Modality, Task


@dataclass(frozen=True, slots=True)
class CrossStitchOptions:
    """Options of `cross-stitch`."""

    own: float = 0.9
    """Initial share of a task's own representation in its mixture; the rest is divided among the others."""
    rate: float = 10.0
    """Learning rate of the mixtures, as a multiple of the network's."""


@sharing("cross-stitch")
class CrossStitch(TowerPerTask):
    """A network per task; after every layer, learned mixtures of their representations (Misra et al. 2016).

    A unimodal task never sees another modality.

    Implementation notes: Mixed are the representations of the same modality, after the encoder and after the
    layer behind it, and the fused representations of the multimodal tasks.
    """

    Options: ClassVar[type] = CrossStitchOptions

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, options)
        fused = [task for task in plan.tasks if task.modality is Modality.MULTIMODAL]
        self.seen_by = {
            m: [t for t in plan.tasks if t in fused or t.modality.value == m] for m in plan.widths
        }
        self.fused = fused
        stitches: dict[str, int] = {}
        for modality, tasks in self.seen_by.items():
            stitches |= {f"encoder-{modality}": len(tasks), f"shared-{modality}": len(tasks)}
        stitches["fusion"] = len(fused)
        self.stitches = nn.ModuleDict({name: Stitch(k, options.own) for name, k in stitches.items() if k > 1})

    def rate(self, name: str) -> float:
        """The few mixing weights learn faster than the other weights."""
        return float(self.options.rate) if name.startswith("stitches.") else 1.0

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """All tasks at once, layer by layer."""
        encoded: dict[str, dict[str, Representation]] = {task.id: {} for task in self.tasks}
        for modality, tasks in self.seen_by.items():
            mixed = self._encode(modality, tasks, inputs)
            for task, representation in zip(tasks, mixed, strict=True):
                encoded[task.id][modality] = representation
        fused = [self._fusion(task)(encoded[task.id], inputs) for task in self.fused]
        vectors = dict(zip((t.id for t in self.fused), self._mix("fusion", fused), strict=True))
        representations = {
            t.id: vectors[t.id] if t in self.fused else encoded[t.id][t.modality.value].vector
            for t in self.tasks
        }
        return Shared(representations, self.together(representations), zero_penalty(inputs))

    def _encode(self, modality: str, tasks: Sequence[Task], inputs: Inputs) -> list[Representation]:
        towers = [self.tower(task) for task in tasks]
        raw = [tower.encoders[modality](inputs.frames(modality)) for tower in towers]
        mixed = self._mix_representations(f"encoder-{modality}", raw)
        present = inputs.present(modality)
        deeper = [
            Representation(
                tower.shared(representation.vector) * present,
                tower.shared(representation.states) if self._reads_states else representation.states,
                representation.mask,
            )
            for tower, representation in zip(towers, mixed, strict=True)
        ]
        return self._mix_representations(f"shared-{modality}", deeper)

    @property
    def _reads_states(self) -> bool:
        return any(self._fusion(task).reads_states for task in self.fused)

    def _fusion(self, task: Task) -> Fusion:
        return cast(Fusion, self.tower(task).fusion)

    def _mix_representations(
        self, name: str, representations: Sequence[Representation]
    ) -> list[Representation]:
        vectors = self._mix(name, [representation.vector for representation in representations])
        states = [representation.states for representation in representations]
        if self._reads_states:
            states = self._mix(name, states)
        return [
            Representation(v, s, c.mask) for v, s, c in zip(vectors, states, representations, strict=True)
        ]

    def _mix(self, name: str, vectors: list[Tensor]) -> list[Tensor]:
        return self.stitches[name](vectors) if name in self.stitches else vectors


class Stitch(nn.Module):
    """k representations -> k mixtures of them."""

    start: Tensor

    def __init__(self, k: int, own: float) -> None:
        super().__init__()
        rest = torch.full((k, k), (1 - own) / (k - 1))
        self.register_buffer("start", rest.fill_diagonal_(own))
        # The learned part is the change from the start, so that weight decay leads back there, not to zero.
        self.moved = nn.Parameter(torch.zeros(k, k))

    @property
    def shares(self) -> Tensor:
        """(k, k) share of the representation in a column in the mixture of a row."""
        return self.start + self.moved

    def forward(self, representations: Sequence[Tensor]) -> list[Tensor]:
        """Representations of equal shape."""
        mixed = torch.einsum("ij,j...->i...", self.shares, torch.stack(list(representations)))
        return list(mixed.unbind(0))
