"""The interface of an ensemble."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from annotate.learning._part import Part
from annotate.learning.batches import Batch
from annotate.learning.heads.base import Head, RawOutputs
from annotate.learning.results import Fitted

State = Mapping[str, Tensor]
"""The weights of one network, by name, on the CPU."""


@dataclass(frozen=True, slots=True)
class Combination:
    """How the members' outputs are combined; stored in the checkpoint, so JSON and arrays only."""

    passes: int = 1
    """Forward passes of each network with dropout switched on, each a member; 1: dropout is off."""
    shares: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By task id: the weight of each member, summing to one; absent: equal."""
    sees: tuple[str, ...] = ()
    """By network: keys of the modalities that it reads, such as ``"TA"``; empty: all read everything."""
    voted: bool = False
    """Whether the members vote (see `annotate.learning.voting`) instead of being averaged."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained ensemble."""

    states: tuple[State, ...]
    fitted: tuple[Fitted, ...]
    combination: Combination = field(default_factory=Combination)
    notes: tuple[str, ...] = ()
    """Sentences for the user."""


@dataclass(frozen=True)
class EnsembleContext:
    """The data and functions with which an ensemble trains its networks."""

    members: int
    """Number of members in the settings."""
    heads: tuple[Head, ...]
    """One per task; without trained weights, to interpret the outputs of networks."""
    train: Batch
    """All train samples, without a member axis, on the device."""
    groups: NDArray[np.intp]
    """(n,) group of each train sample; a group must not be on both sides of a fold."""
    seed: int
    fit: Callable[..., tuple[list[State], list[Fitted]]]
    """``fit(seeds, weights=None, rows=None, sees=())``: trains one network per seed, in parallel. `weights`:
    (members, n) weights of the train samples; `rows`: indices of the train samples to use; `sees`: as in
    `Combination`."""
    ask: Callable[..., dict[str, RawOutputs]]
    """``ask(states, batch, sees=())`` -> by task id (members, n, outputs)."""


class Ensemble(Part, ABC):
    """Made with options."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def train(self, context: EnsembleContext) -> Trained:
        """Train the members; how to combine them is part of the result."""
