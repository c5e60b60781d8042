"""Results of a training: each epoch, each fitted network, and options that were chosen on valid."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from annotate.learning.conflict import Conflict


@dataclass(frozen=True, slots=True)
class Epoch:
    """State at the end of an epoch, for progress and logs."""

    number: int
    """From 1."""
    most: int
    """Largest number of epochs."""
    losses: Mapping[str, float]
    """By task id: the train loss, mean over the members."""
    valid_loss: float | None
    running: int
    """Members that have not stopped."""
    weights: Callable[[], Mapping[str, float]] = dict
    """Computes the weight of each task's loss, by task id."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Result of the training of one network, which has the weights of its best epoch."""

    epochs: int
    """Number of epochs that were run."""
    best_epoch: int
    valid_loss: float | None
    """Valid loss of the best epoch; None without valid labels."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """By task id: the train loss of the last epoch."""
    conflicts: tuple[Conflict, ...] = ()
    """For each two tasks that share weights: how far their gradients agreed."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One candidate of a search."""

    options: Mapping[str, Any]
    loss: float
    """Held-out loss after the best epoch, mean over the tasks."""


@dataclass(frozen=True, slots=True)
class Search:
    """The chosen options of a sharing, and the candidates."""

    name: str
    """Name of the sharing."""
    chosen: Mapping[str, Any]
    """The options in which the candidates differ."""
    judged_on: str
    """What the candidates were compared on, in words."""
    tried: tuple[Tried, ...] = ()
    """Best first; empty if there were too few labels to compare."""

    def sentence(self) -> str:
        """The result as a sentence for the user."""
        options = _listed(self.chosen)
        if not self.tried:
            return f"{self.name} took {options} by default: {self.judged_on}"
        best = f"loss {self.tried[0].loss:.3f} on {self.judged_on}"
        rest = f"; next {_listed(self.tried[1].options)} with {self.tried[1].loss:.3f}"
        return f"{self.name} chose {options} among {len(self.tried)}: {best}{rest}"


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {' > '.join(value) if isinstance(value, tuple | list) else value}"
        for key, value in options.items()
    )
