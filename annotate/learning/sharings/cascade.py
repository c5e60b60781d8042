"""Tasks in sequence, each of which reads the outputs of the earlier ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning.sharings._towers import key
from annotate.learning.sharings.base import Heads, NetworkPlan, Sharing, Tower, zero_penalty
from annotate.learning.tensors import Inputs, Shared
from annotate.registry import sharing
from annotate.types import Modality, Task

M = Modality.MULTIMODAL.value


@dataclass(frozen=True, slots=True)
class CascadeOptions:
    """Options of `cascade`."""

    order: tuple[str, ...] = ()
    """Keys of the modalities, first to last, such as `["T", "A", "V", "M"]`; empty: searched on valid."""
    detach: bool = True
    """Whether gradients of a task stop at the outputs of other tasks that it reads."""


@sharing("cascade")
class Cascade(Sharing):
    """Outputs of earlier tasks are inputs of later ones (MNC: Dai et al. 2016, section 3).

    A task reads the outputs of all tasks of the modalities before its own, as the third stage in the paper
    reads the first two. An empty `order` is searched: the candidates are every order of the unimodal
    modalities with the multimodal tasks last, and the multimodal tasks first.

    Implementation notes: In the paper gradients pass through the outputs. With few labels this bends the
    first outputs towards the needs of the last tasks (on generated chains they lost 10 to 20 points), so
    here they pass only with `detach = false`.
    """

    Options: ClassVar[type] = CascadeOptions
    listens = True

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, self.candidates(plan.tasks, options)[0])
        self.tower = Tower(plan)
        ranks = {modality: rank for rank, modality in enumerate(self.options.order)}
        self.ordered = sorted(plan.tasks, key=lambda task: ranks[task.modality.value])
        self.reads = {
            task.id: [t.id for t in self.ordered if ranks[t.modality.value] < ranks[task.modality.value]]
            for task in self.ordered
        }
        self.ears = nn.ModuleDict(
            {
                key(task): _OutputReader(sum(plan.outputs[i] for i in self.reads[task.id]), plan.hidden)
                for task in self.ordered
                if self.reads[task.id]
            }
        )

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """Task by task; a task of the first modality reads only its own representation."""
        own = self.tower(inputs)
        representations: dict[str, Tensor] = {}
        answers: dict[str, Tensor] = {}
        for task in self.ordered:
            representation = own[task.modality.value]
            if self.reads[task.id]:
                representation = self.ears[key(task)](
                    representation, torch.cat([answers[i] for i in self.reads[task.id]], -1)
                )
            representations[task.id] = representation
            answer = heads(task.id, representation)
            answers[task.id] = answer.detach() if self.options.detach else answer
        return Shared(representations, own[M], zero_penalty(inputs))

    @classmethod
    def candidates(cls, tasks: Sequence[Task], options: Any) -> Sequence[Any]:
        """The order of the passes, then all orders that end with the multimodal tasks, then one that begins
        with them.

        Raises `ConfigError` when the given order names an unknown modality, repeats one, or leaves out one
        that has a task.
        """
        present = [m.value for m in Modality if any(task.modality is m for task in tasks)]
        if options.order:
            known = [m.value for m in Modality]
            wrong = [str(m) for m in options.order if m not in known or list(options.order).count(m) > 1]
            missing = [m for m in present if m not in options.order]
            if wrong or missing:
                what = f"names {wrong[0]!r}" if wrong else f"leaves out {missing[0]!r}, which has tasks"
                raise ConfigError(
                    f"train.options.cascade.order {what}",
                    hint=f'each of {", ".join(known)} once, such as ["T", "A", "V", "M"], or [] to find it '
                    "on valid",
                )
            return [options]
        single = [m for m in present if m != M]
        orders: list[tuple[str, ...]] = [tuple(present)]
        if len(present) > len(single):
            orders += [(*order, M) for order in permutations(single)] + [(M, *single)]
        else:
            orders += list(permutations(single))
        return [replace(options, order=order) for order in dict.fromkeys(orders)]


class _OutputReader(nn.Module):
    """A representation and the outputs of earlier tasks -> a representation. Without dropout, because every
    one of the few outputs is needed."""

    def __init__(self, answers: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(hidden + answers, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.LayerNorm(hidden)
        )

    def forward(self, representation: Tensor, answers: Tensor) -> Tensor:
        """Residual, so that a task can ignore outputs that do not help it."""
        return representation + self.layers(torch.cat([representation, answers], dim=-1))
