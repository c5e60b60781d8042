"""Tasks that share encoders, decoders or both, according to a map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning.sharings.base import Heads, NetworkPlan, Sharing, zero_penalty
from annotate.learning.tensors import Inputs, Shared
from annotate.registry import sharing
from annotate.types import Modality, Task

M = Modality.MULTIMODAL.value
MAPS = ("one-to-many", "many-to-one", "many-to-many")


@dataclass(frozen=True, slots=True)
class EncoderDecoderOptions:
    """Options of `encoder-decoder`."""

    map: str = "one-to-many"
    """`one-to-many`, `many-to-one` or `many-to-many`."""


@sharing("encoder-decoder")
class EncoderDecoder(Sharing):
    """Encoders and decoders shared according to a map (Luong et al. 2016, section 3).

    `one-to-many`: all tasks share the encoders, and each has its own decoder. `many-to-one`: each task has
    its own encoders, and all share the decoder. `many-to-many`: tasks of one modality share encoders (the
    same source), tasks of one dimension share the decoder (the same target).

    Implementation notes: A decoder is two layers between representation and head.
    """

    Options: ClassVar[type] = EncoderDecoderOptions

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, options)
        _require_map(options.map)
        one = {task.id: "" for task in plan.tasks}
        each = {task.id: task.id for task in plan.tasks}
        modality = {task.id: task.modality.value for task in plan.tasks}
        dimension = {task.id: task.dimension.name for task in plan.tasks}
        source, target = {
            "one-to-many": (one, each),
            "many-to-one": (each, one),
            "many-to-many": (modality, dimension),
        }[options.map]
        # By task id: the index of its encoders, and that of its decoder.
        self.sources, self.targets = _ranks(source), _ranks(target)
        self.banks = nn.ModuleList(
            _Bank(plan, {t.modality.value for t in plan.tasks if self.sources[t.id] == number})
            for number in range(max(self.sources.values()) + 1)
        )
        self.decoders = nn.ModuleList(
            _Decoder(plan.hidden, plan.dropout) for _ in range(max(self.targets.values()) + 1)
        )

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """Each set of encoders runs once, however many tasks read it."""
        sources = [bank(inputs) for bank in self.banks]
        read = {task.id: sources[self.sources[task.id]][task.modality.value] for task in self.tasks}
        representations = {
            task.id: self.decoders[self.targets[task.id]](read[task.id]) for task in self.tasks
        }
        fused = [read[task.id] for task in self.tasks if task.modality.value == M]
        return Shared(
            representations, torch.stack(fused or list(read.values())).mean(dim=0), zero_penalty(inputs)
        )

    @classmethod
    def candidates(cls, tasks: Sequence[Task], options: Any) -> Sequence[Any]:
        """Only the given map."""
        _require_map(options.map)
        return [options]


class _Bank(nn.Module):
    """The encoders that tasks of some modalities read, and a fusion if one of the tasks is multimodal."""

    def __init__(self, plan: NetworkPlan, modalities: set[str]) -> None:
        super().__init__()
        wanted = [m for m in plan.widths if m in modalities or M in modalities]
        self.encoders = nn.ModuleDict({m: plan.encoder(m) for m in wanted})
        self.fusion = plan.fusion() if M in modalities else None

    def forward(self, inputs: Inputs) -> dict[str, Tensor]:
        """(n, hidden) by modality."""
        representations = {m: encoder(inputs.frames(m)) for m, encoder in self.encoders.items()}
        vectors: dict[str, Tensor] = {
            m: representation.vector * inputs.present(m) for m, representation in representations.items()
        }
        if self.fusion is not None:
            vectors[M] = self.fusion(representations, inputs)
        return vectors


class _Decoder(nn.Module):
    """(n, hidden) -> (n, hidden)."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
        )  # fmt: skip

    def forward(self, representation: Tensor) -> Tensor:
        """Residual, so that the decoder does not slow down learning."""
        return representation + self.layers(representation)


def _ranks(names: Mapping[str, str]) -> Mapping[str, int]:
    """By task id: the index of its name among the different names, in order of appearance."""
    order = list(dict.fromkeys(names.values()))
    return {task_id: order.index(name) for task_id, name in names.items()}


def _require_map(name: str) -> None:
    if name not in MAPS:
        raise ConfigError(
            f"train.options.encoder-decoder.map cannot be {name!r}", hint=f"choose one of {', '.join(MAPS)}"
        )
