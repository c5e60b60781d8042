"""Estimates how long many trainings will take, from short ones before the first begins."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from annotate.wording import counted

SHORT, LONGER = 1, 3
"""Epochs of the two short trainings that are timed."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long one way of training takes."""

    fixed: float
    """Seconds independent of the number of epochs, such as reading features."""
    epoch: float
    """Seconds per epoch."""

    def of(self, epochs: int) -> float:
        """Seconds for so many epochs."""
        return self.fixed + self.epoch * epochs


@dataclass(frozen=True, slots=True)
class Expected:
    """The time that trainings are expected to take."""

    trainings: int
    """Number of trainings left."""
    least: float
    """Seconds if every training stops as early as possible."""
    most: float
    """Seconds if every training runs for all its epochs."""

    def seconds(self) -> dict[str, float]:
        """The values for a report."""
        return {"least": round(self.least, 1), "most": round(self.most, 1)}

    def sentence(self) -> str:
        """The estimate as a sentence."""
        if not self.trainings:
            return "expected time: none, because an earlier call did every training"
        span = f"{duration(self.least)} to {duration(self.most)}"
        trainings = counted(self.trainings, "training")
        return f"expected time: {span} for {trainings}, depending on how early each stops"


def pace_of(train: Callable[[int], object], clock: Callable[[], float] = time.perf_counter) -> Pace:
    """Time `train`, which takes a number of epochs, twice, after a call that does all one-time work."""
    train(SHORT)
    started = clock()
    train(SHORT)
    between = clock()
    train(LONGER)
    short, longer = between - started, clock() - between
    epoch = max(longer - short, 0.0) / (LONGER - SHORT)
    return Pace(max(short - epoch * SHORT, 0.0), epoch)


def fewest_epochs(epochs: int, patience: int) -> int:
    """Smallest number of epochs after which a training can stop."""
    return min(epochs, patience + 1)


def duration(seconds: float) -> str:
    """The duration in seconds, minutes or hours, whichever suits."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
