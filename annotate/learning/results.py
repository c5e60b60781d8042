"""What a training reports: the end of each epoch, each fitted network, and options chosen on valid."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from annotate.learning.conflict import Conflict


@dataclass(frozen=True, slots=True)
class Epoch:
    """What is known at the end of an epoch, for progress and logs."""

    number: int
    """From 1."""
    most: int
    """After so many the training ends in any case."""
    losses: Mapping[str, float]
    """By task id: the train loss, mean over the members."""
    valid_loss: float | None
    running: int
    """Members that have not stopped."""
    weights: Callable[[], Mapping[str, float]] = dict
    """Computed when asked for, by task id: what the weighting multiplies its loss by."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """How the training of one network went; it holds the weights of its best epoch."""

    epochs: int
    """How many were run."""
    best_epoch: int
    valid_loss: float | None
    """Of the best epoch; None without valid labels."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """By task id: the train loss of the last epoch."""
    conflicts: tuple[Conflict, ...] = ()
    """Of each two tasks that share weights: how far their gradients agreed."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One candidate."""

    options: Mapping[str, Any]
    loss: float
    """On samples that it did not learn from, after the best epoch: the mean over the tasks."""


@dataclass(frozen=True, slots=True)
class Search:
    """What was chosen, and among what."""

    name: str
    """Of the sharing."""
    chosen: Mapping[str, Any]
    """Those of its options that the candidates differ in."""
    judged_on: str
    """What decided, in words."""
    tried: tuple[Tried, ...] = ()
    """The best first; empty where there was nothing to judge by."""

    def said(self) -> str:
        """A sentence for the user."""
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
