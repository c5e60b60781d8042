"""What a sharing is, and the pieces that most of them are made of."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from annotate.learning._part import Part
from annotate.learning.encoders.base import Encoder
from annotate.learning.fusions.base import Fusion
from annotate.learning.tensors import Inputs, Representation, Shared
from annotate.types import Modality, Task

Heads = Callable[[str, Tensor], Tensor]
"""(task id, (n, hidden) representation) -> (n, outputs): what the task's own head says about a
representation."""


class Network(Protocol):
    """The members of `annotate.learning.network.MultiTaskNet` that a sharing may use before the training."""

    tasks: tuple[Task, ...]
    sharing: "Sharing"

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every weight with its name."""
        ...


TrainTasks = Callable[[Sequence[Network], Sequence[str], int], None]
"""(networks, task ids, epochs): train them in place, side by side, on the labels of these tasks only."""


@dataclass(frozen=True)
class NetworkPlan:
    """What a sharing is made of: it decides how many of each there are and who uses which."""

    tasks: tuple[Task, ...]
    widths: Mapping[str, int]
    """By modality with features, in the order of T, A, V: the width of a row."""
    hidden: int
    dropout: float
    encoder: Callable[[str], Encoder]
    """Modality key -> a new encoder."""
    fusion: Callable[[], Fusion]
    """-> a new fusion of every modality."""
    outputs: Mapping[str, int]
    """By task id: how many numbers its head says."""


class Sharing(Part, nn.Module, ABC):
    """Inputs -> one representation per task. Made with a `NetworkPlan` and options."""

    listens: ClassVar[bool] = False
    """Whether a task of one modality may learn of another through what its head answers."""
    alike: ClassVar[bool] = False
    """Whether networks of different `candidates` differ in their buffers only, so that they can be trained
    side by side."""

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__()
        self.options = options
        self.tasks = plan.tasks

    @abstractmethod
    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """`heads` is for those whose tasks listen to each other's answers."""

    def rate(self, name: str) -> float:
        """By what the learning rate of the parameter called `name` (inside the sharing) is multiplied."""
        return 1.0

    @classmethod
    def pretrain(cls, nets: Sequence[Network], train_tasks: TrainTasks) -> None:
        """Called once before the training, with new networks that will be trained side by side. Most need
        nothing."""

    def notes(self) -> Sequence[str]:
        """Sentences about what it found while it was trained, for the user."""
        return []

    @classmethod
    def candidates(cls, tasks: Sequence[Task], options: Any) -> Sequence[Any]:
        """The options to choose among on valid labels, the first where there are too few of them; most have
        nothing to choose.

        Raises `ConfigError` for options that cannot be.
        """
        return [options]


class Tower(nn.Module):
    """An encoder per modality, a layer that they share, a fusion on top: a whole network up to the heads."""

    def __init__(
        self, plan: NetworkPlan, modalities: Sequence[str] | None = None, shared: nn.Module | None = None
    ) -> None:
        """With `modalities`, only those are encoded and nothing is fused. `shared`: what stands in the
        shared layer's place, (..., hidden) -> (..., hidden)."""
        super().__init__()
        wanted = [key for key in plan.widths if modalities is None or key in modalities]
        self.encoders = nn.ModuleDict({key: plan.encoder(key) for key in wanted})
        self.shared = Trunk(plan.hidden, plan.dropout) if shared is None else shared
        self.fusion: Fusion | None = plan.fusion() if modalities is None else None

    def forward(self, inputs: Inputs) -> dict[str, Tensor]:
        """(n, hidden) by modality, ``M`` among them where they are fused."""
        representations = {key: self.encode(key, inputs) for key in self.encoders}
        vectors = {key: representation.vector for key, representation in representations.items()}
        if self.fusion is not None:
            vectors[Modality.MULTIMODAL.value] = self.fusion(representations, inputs)
        return vectors

    def encode(self, key: str, inputs: Inputs) -> Representation:
        """The representation of one modality after the shared layer."""
        representation: Representation = self.encoders[key](inputs.frames(key))
        states = (
            self.shared(representation.states)
            if self.fusion is not None and self.fusion.reads_states
            else representation.states
        )
        return Representation(
            self.shared(representation.vector) * inputs.present(key), states, representation.mask
        )


class Trunk(nn.Module):
    """(..., hidden) -> (..., hidden), the same weights for every modality."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(self, representation: Tensor) -> Tensor:
        """Residual, so that a modality that gains nothing from sharing can pass by."""
        return representation + self.layers(representation)


def nothing(inputs: Inputs) -> Tensor:
    """() zero, for a penalty that is none."""
    return torch.zeros((), dtype=next(iter(inputs.values.values())).dtype, device=inputs.video.device)
