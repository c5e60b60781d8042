"""A deep trunk whose layers supervise different tasks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning.fusions.base import Fusion
from annotate.learning.sharings.base import Heads, NetworkPlan, Sharing, Trunk, zero_penalty
from annotate.learning.tensors import Inputs, Representation, Shared
from annotate.registry import sharing
from annotate.types import Modality, Task

M = Modality.MULTIMODAL.value


@dataclass(frozen=True, slots=True)
class HierarchicalOptions:
    """Options of `hierarchical`."""

    layers: int = 3
    """Layers of the trunk."""
    T: int = 0
    A: int = 0
    V: int = 0
    M: int = 0
    """Layer that supervises the tasks of the modality, counted from 1; 0: searched on valid labels."""


@sharing("hierarchical")
class Hierarchical(Sharing):
    """Tasks are supervised at different layers of a trunk (Søgaard & Goldberg 2016; Nguyen & Okatani 2019).

    Layers can be fixed, as by Hashimoto et al. 2017, or searched: the search tries every assignment in
    which no modality lies below one of an earlier pass.

    Implementation notes: All modalities run through the same trunk; the multimodal tasks read the fusion of
    the representations at their layer.
    """

    Options: ClassVar[type] = HierarchicalOptions
    alike = True

    def __init__(self, plan: NetworkPlan, options: Any) -> None:
        super().__init__(plan, self.candidates(plan.tasks, options)[0])
        self.encoders = nn.ModuleDict({m: plan.encoder(m) for m in plan.widths})
        self.trunk = nn.ModuleList(
            Trunk(plan.hidden, plan.dropout) for _ in range(max(self.options.layers, 1))
        )
        self.fusion: Fusion = plan.fusion()
        # A buffer: networks with other levels have the same shapes, and can be trained in parallel.
        taps = torch.zeros(len(Modality), len(self.trunk))
        for row, modality in enumerate(Modality):
            taps[row, (getattr(self.options, modality.value) or len(self.trunk)) - 1] = 1.0
        self.register_buffer("taps", taps)

    def forward(self, inputs: Inputs, heads: Heads) -> Shared:
        """Layers above the highest supervised one get no gradient."""
        whole, representations = {}, {}
        for m in self.encoders:
            representation: Representation = self.encoders[m](inputs.frames(m))
            levels = self._levels(representation.vector)
            representations[m] = self._at(m, levels) * inputs.present(m)
            states = (
                self._at(M, self._levels(representation.states))
                if self.fusion.reads_states
                else representation.states
            )
            whole[m] = Representation(self._at(M, levels) * inputs.present(m), states, representation.mask)
        representations[M] = self.fusion(whole, inputs)
        return Shared(
            {t.id: representations[t.modality.value] for t in self.tasks},
            representations[M],
            zero_penalty(inputs),
        )

    def _levels(self, representation: Tensor) -> Tensor:
        """(layers, ...) the representation after each layer."""
        levels = []
        for layer in self.trunk:
            representation = layer(representation)
            levels.append(representation)
        return torch.stack(levels)

    def _at(self, modality: str, levels: Tensor) -> Tensor:
        """The level at which the tasks of `modality` are supervised."""
        tap = self.get_buffer("taps")[[m.value for m in Modality].index(modality)]
        return (levels * tap.view(-1, *[1] * (levels.dim() - 1))).sum(dim=0)

    @classmethod
    def candidates(cls, tasks: Sequence[Task], options: Any) -> Sequence[Any]:
        """Layers spread evenly in the order of the passes; then all other assignments in which no searched
        modality lies below one of an earlier pass.

        Raises `ConfigError` for a number of layers or a layer out of range.
        """
        if not 1 <= options.layers <= 8:
            raise ConfigError(
                f"train.options.hierarchical.layers cannot be {options.layers}",
                hint="choose 1 to 8, such as 3",
            )
        for modality in Modality:
            layer = getattr(options, modality.value)
            if not 0 <= layer <= options.layers:
                raise ConfigError(
                    f"train.options.hierarchical.{modality.value} is {layer} of {options.layers} layers",
                    hint=f"choose 1 to {options.layers}, or 0 to find it on valid labels",
                )
        free = [
            m.value
            for m in Modality
            if getattr(options, m.value) == 0 and any(task.modality is m for task in tasks)
        ]
        even = tuple(-(-options.layers * (i + 1) // len(free)) for i in range(len(free)))
        rising = [
            ls for ls in product(range(1, options.layers + 1), repeat=len(free)) if sorted(ls) == list(ls)
        ]
        return [replace(options, **dict(zip(free, ls, strict=True))) for ls in dict.fromkeys([even, *rising])]
