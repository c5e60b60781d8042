"""One trunk with a pruned sub-network per task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from annotate.errors import ConfigError
from annotate.learning.sharings.base import (
    Heads,
    Network,
    NetworkPlan,
    Sharing,
    Tower,
    TrainTasks,
    zero_penalty,
)
from annotate.learning.tensors import Inputs, Shared
from annotate.registry import sharing
from annotate.types import Modality

M = Modality.MULTIMODAL.value


@dataclass(frozen=True, slots=True)
class SparseOptions:
    """Options of `sparse`."""

    keep: float = 0.4
    """Share of the weights that a task keeps."""
    rounds: int = 3
    """Pruning steps."""
    warm_up: int = 10
    """Epochs of all tasks together before pruning."""
    epochs: int = 5
    """Epochs of one task alone before each pruning step."""


@sharing("sparse")
class Sparse(Sharing):
    """A sub-network per task, found by iterative magnitude pruning (Sun et al. 2020, sections 3 and 4).

    After a warm-up on all tasks, each task trains alone from the same weights, prunes its smallest weights
    layer by layer and starts again, until a share `keep` is left. Then all tasks train from the weights of
    the warm-up, and each moves only its own. Made for `sampling = "one-task"`.

    Implementation notes: All tasks share biases and normalisation.
    """

    Options: ClassVar[type] = SparseOptions

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, options)
        if not 0 < options.keep <= 1:
            raise ConfigError(
                f"train.options.sparse.keep cannot be {options.keep}", hint="it is a share, such as 0.4"
            )
        for key in ("rounds", "warm_up", "epochs"):
            if getattr(options, key) < 1:
                raise ConfigError(
                    f"train.options.sparse.{key} cannot be {getattr(options, key)}", hint="choose 1 or more"
                )
        self.reader = _Reader(plan)
        self.pruned = [n for n, p in self.reader.named_parameters() if p.dim() >= 2]
        for name in self.pruned:
            weight = self.reader.get_parameter(name)
            reads = torch.tensor([self._reads(task.modality.value, name) for task in plan.tasks])
            mask = reads.view(-1, *[1] * weight.dim()).expand(-1, *weight.shape).clone()
            self.register_buffer(_buffer(name), mask)
        self.attended = {task.id for task in plan.tasks}
        """Ids of the tasks that are computed: all, except in `pretrain`."""

    @staticmethod
    def _reads(modality: str, name: str) -> bool:
        """Whether tasks of the modality use the weight."""
        part, _, rest = name.removeprefix("tower.").partition(".")
        return modality == M or part == "shared" or (part == "encoders" and rest.startswith(f"{modality}."))

    def mask(self, name: str) -> Tensor:
        """(tasks, ...) True where the weight called `name` belongs to the task."""
        return self.get_buffer(_buffer(name))

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """Each task through its own sub-network."""
        vectors = {
            task.id: self._encode(i, task.modality.value, inputs)
            for i, task in enumerate(self.tasks)
            if task.id in self.attended
        }
        idle = torch.zeros_like(next(iter(vectors.values())))
        representations = {task.id: vectors.get(task.id, idle) for task in self.tasks}
        fused = [representations[task.id] for task in self.tasks if task.modality.value == M]
        whole = torch.stack(fused).mean(dim=0) if fused else self.reader(inputs, M)
        return Shared(representations, whole, zero_penalty(inputs))

    def _encode(self, task: int, modality: str, inputs: Inputs) -> Tensor:
        """(n, hidden) through the weights of one task; the others get no gradient."""
        weights = {
            name: weight * self.mask(name)[task] if name in self.pruned else weight
            for name, weight in self.reader.named_parameters()
            if self._reads(modality, name)
        }
        return functional_call(self.reader, weights, (inputs, modality))

    @classmethod
    def pretrain(cls, nets: Sequence[Network], train_tasks: TrainTasks) -> None:
        """Warm up, then prune a sub-network per task; afterwards all weights are those of the warm-up."""
        options = cast(Sparse, nets[0].sharing).options
        train_tasks(nets, [task.id for task in nets[0].tasks], options.warm_up)
        warm = [{n: p.detach().clone() for n, p in net.named_parameters()} for net in nets]
        for step in range(1, options.rounds + 1):
            share = options.keep ** (step / options.rounds)
            for i, task in enumerate(nets[0].tasks):
                _attend(nets, [task.id])
                train_tasks(nets, [task.id], options.epochs)
                for net, weights in zip(nets, warm, strict=True):
                    cast(Sparse, net.sharing).prune(i, share)
                    with torch.no_grad():
                        for name, parameter in net.named_parameters():
                            parameter.copy_(weights[name])
        _attend(nets, [task.id for task in nets[0].tasks])

    def prune(self, task: int, share: float) -> None:
        """Keep the largest weights of the task, a `share` of each layer, among those not yet pruned."""
        for name in self.pruned:
            mask = self.mask(name)[task]
            if not bool(mask.any()):
                continue
            sizes = self.reader.get_parameter(name).detach().abs().masked_fill(~mask, -1.0).flatten()
            kept = torch.zeros_like(sizes, dtype=torch.bool)
            kept[sizes.topk(max(1, round(share * sizes.numel()))).indices] = True
            mask.logical_and_(kept.view_as(mask))

    def used(self) -> float:
        """Share of the parameters that at least one task uses."""
        every = {n: p.numel() for n, p in self.reader.named_parameters()}
        dropped = sum(every[n] - int(self.mask(n).any(dim=0).sum()) for n in self.pruned)
        return 1 - dropped / sum(every.values())

    def overlap(self) -> Mapping[tuple[str, str], float]:
        """By pair of task ids: intersection over union of the weights that the two tasks keep, among the
        weights that both can use."""
        shares = {}
        for (i, one), (j, other) in combinations(enumerate(self.tasks), 2):
            both = either = 0
            for name in self.pruned:
                a, b = self.mask(name)[i], self.mask(name)[j]
                if self._reads(one.modality.value, name) and self._reads(other.modality.value, name):
                    both, either = both + int((a & b).sum()), either + int((a | b).sum())
            shares[one.id, other.id] = both / max(either, 1)
        return shares

    def notes(self) -> Sequence[str]:
        """How much is left, and how much of it tasks have in common."""
        pairs = [f"{one} and {other} {100 * share:.0f} %" for (one, other), share in self.overlap().items()]
        left = f"sparse sharing uses {100 * self.used():.0f} % of its weights"
        return [f"{left}; in common have {', '.join(pairs)}" if pairs else left]


class _Reader(nn.Module):
    """A tower that is asked for one representation at a time."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.tower = Tower(plan)

    def forward(self, inputs: Inputs, modality: str) -> Tensor:
        """(n, hidden) of one modality, or of all for ``M``."""
        if modality != M:
            return self.tower.encode(modality, inputs).vector
        return self.tower(inputs)[M]


def _buffer(name: str) -> str:
    # torch keeps the dot for itself.
    return "mask-" + name.replace(".", "-")


def _attend(nets: Sequence[Network], task_ids: Sequence[str]) -> None:
    for net in nets:
        cast(Sparse, net.sharing).attended = set(task_ids)
