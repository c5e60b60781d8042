"""A tower per task, whose layers read mixtures of what all towers made so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from annotate.learning.fusions.base import Fusion
from annotate.learning.sharings._towers import TowerPerTask
from annotate.learning.sharings.base import Heads, NetworkPlan, nothing
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
        """The mixtures are a handful of numbers: they learn faster than the weights."""
        return float(self.options.rate) if name.startswith("stitches.") else 1.0

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """Layer by layer, all tasks at once."""
        encoded: dict[str, dict[str, Representation]] = {task.id: {} for task in self.tasks}
        for modality, tasks in self.seen_by.items():
            for task, representation in zip(tasks, self._encode(modality, tasks, inputs), strict=True):
                encoded[task.id][modality] = representation
        fused = [self._fusion(task)(encoded[task.id], inputs) for task in self.fused]
        vectors = dict(zip((t.id for t in self.fused), self._mix("fusion", fused), strict=True))
        representations = {
            t.id: vectors[t.id] if t in self.fused else encoded[t.id][t.modality.value].vector
            for t in self.tasks
        }
        return Shared(representations, self.together(representations), nothing(inputs))

    def _encode(self, modality: str, tasks: Sequence[Task], inputs: Inputs) -> list[Representation]:
        towers = [self.tower(task) for task in tasks]
        raw = [tower.encoders[modality](inputs.frames(modality)) for tower in towers]
        mixed = self._mix_codes(f"encoder-{modality}", raw)
        present = inputs.present(modality)
        deeper = [
            Representation(
                tower.shared(representation.vector) * present,
                tower.shared(representation.states) if self._reads_states else representation.states,
                representation.mask,
            )
            for tower, representation in zip(towers, mixed, strict=True)
        ]
        return self._mix_codes(f"shared-{modality}", deeper)

    @property
    def _reads_states(self) -> bool:
        return any(self._fusion(task).reads_states for task in self.fused)

    def _fusion(self, task: Task) -> Fusion:
        return cast(Fusion, self.tower(task).fusion)

    def _mix_codes(self, name: str, representations: Sequence[Representation]) -> list[Representation]:
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
        # What is learned is the way from the start: weight decay then leads back there and not to zero.
        self.moved = nn.Parameter(torch.zeros(k, k))

    @property
    def shares(self) -> Tensor:
        """(k, k) of the mixture in a row, how much comes from the representation in a column."""
        return self.start + self.moved

    def forward(self, representations: Sequence[Tensor]) -> list[Tensor]:
        """Representations of one shape each."""
        mixed = torch.einsum("ij,j...->i...", self.shares, torch.stack(list(representations)))
        return list(mixed.unbind(0))
