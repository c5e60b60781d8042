"""The interface of a sharing, and building blocks that most sharings use."""

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
"""(task id, (n, hidden) representation) -> (n, outputs): the raw outputs of the task's head."""


class Network(Protocol):
    """The members of `annotate.learning.network.MultiTaskNet` that a sharing may use in `pretrain`."""

    tasks: tuple[Task, ...]
    sharing: "Sharing"

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every weight with its name."""
        ...


TrainTasks = Callable[[Sequence[Network], Sequence[str], int], None]
"""(networks, task ids, epochs): train the networks in place, in parallel, on the labels of these tasks."""


@dataclass(frozen=True)
class NetworkPlan:
    """The parts from which a sharing builds a network; it decides how many of each there are."""

    tasks: tuple[Task, ...]
    widths: Mapping[str, int]
    """Row width of each modality that has features, in the order T, A, V."""
    hidden: int
    dropout: float
    encoder: Callable[[str], Encoder]
    """Modality key -> a new encoder."""
    fusion: Callable[[], Fusion]
    """-> a new fusion of every modality."""
    outputs: Mapping[str, int]
    """By task id: number of outputs of its head."""


class Sharing(Part, nn.Module, ABC):
    """Inputs -> one representation per task. Made with a `NetworkPlan` and options."""

    listens: ClassVar[bool] = False
    """Whether a unimodal task may read the head outputs of tasks of other modalities."""
    alike: ClassVar[bool] = False
    """Whether networks of different `candidates` differ only in their buffers, so that they can be trained
    in parallel."""

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__()
        self.options = options
        self.tasks = plan.tasks

    @abstractmethod
    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """`heads` gives the outputs of other tasks, for sharings that feed them into a task."""

    def rate(self, name: str) -> float:
        """Factor of the learning rate for the parameter `name` (inside the sharing)."""
        return 1.0

    @classmethod
    def pretrain(cls, nets: Sequence[Network], train_tasks: TrainTasks) -> None:
        """Prepare new networks that will be trained in parallel; called once before the training. Does
        nothing by default."""

    def notes(self) -> Sequence[str]:
        """Sentences for the user about what the training of the sharing found."""
        return []

    @classmethod
    def candidates(cls, tasks: Sequence[Task], options: Any) -> Sequence[Any]:
        """Options to choose among by valid loss; the first one is used if there are too few valid labels.

        Only the given options by default. Raises `ConfigError` for invalid options.
        """
        return [options]


class Tower(nn.Module):
    """A network up to the heads: an encoder per modality, a layer that they share, and a fusion."""

    def __init__(
        self, plan: NetworkPlan, modalities: Sequence[str] | None = None, shared: nn.Module | None = None
    ) -> None:
        """With `modalities`, only those are encoded and nothing is fused. `shared` replaces the shared layer,
        (..., hidden) -> (..., hidden)."""
        super().__init__()
        wanted = [key for key in plan.widths if modalities is None or key in modalities]
        self.encoders = nn.ModuleDict({key: plan.encoder(key) for key in wanted})
        self.shared = Trunk(plan.hidden, plan.dropout) if shared is None else shared
        self.fusion: Fusion | None = plan.fusion() if modalities is None else None

    def forward(self, inputs: Inputs) -> dict[str, Tensor]:
        """(n, hidden) by modality; with a fusion, ``M`` is the fused representation."""
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


def zero_penalty(inputs: Inputs) -> Tensor:
    """() zero, for sharings without a penalty."""
    return torch.zeros((), dtype=next(iter(inputs.values.values())).dtype, device=inputs.video.device)
