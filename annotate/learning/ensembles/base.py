"""What an ensemble is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from annotate.learning._part import Part
from annotate.learning.batches import Batch
from annotate.learning.heads.base import Head, Raw
from annotate.learning.results import Fitted

State = Mapping[str, Tensor]
"""The weights of one network, by name, on the CPU."""


@dataclass(frozen=True, slots=True)
class Combination:
    """How the members' outputs become one answer; JSON and arrays only, kept in the checkpoint."""

    passes: int = 1
    """How often each network is asked with dropout left on, each time as a member; 1: dropout off."""
    shares: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By task id: the weight of each member, summing to one; absent: equal."""
    sees: tuple[str, ...] = ()
    """By network: keys of the modalities that it is shown, as ``"TA"``; empty: all see everything."""
    voted: bool = False
    """The members vote (see `annotate.learning.voting`); otherwise their mean is the answer."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out of the training of an ensemble."""

    states: tuple[State, ...]
    fitted: tuple[Fitted, ...]
    combination: Combination = field(default_factory=Combination)
    notes: tuple[str, ...] = ()
    """Sentences for the user."""


@dataclass(frozen=True)
class EnsembleContext:
    """What an ensemble is made with."""

    members: int
    """How many the recipe asks for."""
    heads: tuple[Head, ...]
    """One for each task; without trained weights, for reading what networks say."""
    train: Batch
    """All train samples, without members in front, on the device."""
    groups: NDArray[np.intp]
    """(n,) of the train samples: those of one number must not be on both sides of a fold."""
    seed: int
    fit: Callable[..., tuple[list[State], list[Fitted]]]
    """``fit(seeds, weights=None, rows=None, sees=())``: one network per seed, side by side. `weights`:
    (members, n) factors of each train sample; `rows`: indices of the train samples that are seen at all;
    `sees`: as in `Combination`."""
    ask: Callable[..., dict[str, Raw]]
    """``ask(states, batch, sees=())`` -> by task id (members, n, outputs)."""


class Ensemble(Part, ABC):
    """Made with options."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def train(self, context: EnsembleContext) -> Trained:
        """The members, and how to read them together."""
