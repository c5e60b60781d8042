"""Tells whoever waits how a training gets on."""

from annotate.learning.trainer import Epoch
from annotate.progress import Bar

MOST_CHARACTERS = 70
"""Of the losses beside the bar, so that a line of a terminal holds them."""


class Told:
    """Shows the end of each epoch on a bar that counts epochs, one training after the other."""

    def __init__(self, bar: Bar) -> None:
        self.bar, self.done = bar, 0

    def __call__(self, epoch: Epoch) -> None:
        """A training that goes on after a kill starts with a leap."""
        self.done = 0 if epoch.number <= self.done else self.done
        self.bar.advance(epoch.number - self.done, note=note(epoch))
        self.bar.line("losses", losses(epoch))
        self.done = epoch.number


def note(epoch: Epoch) -> str:
    """The epoch and what decides when to stop."""
    valid = "" if epoch.valid_loss is None else f", valid loss {epoch.valid_loss:.3f}"
    return f"epoch {epoch.number}{valid}"


def losses(epoch: Epoch) -> str:
    """Each task's train loss, as many as fit."""
    said: list[str] = []
    for i, (task_id, loss) in enumerate(epoch.losses.items()):
        said.append(f"{task_id} {loss:.3f}")
        if len(", ".join(said)) > MOST_CHARACTERS and i:
            return f"{', '.join(said[:-1])} and {len(epoch.losses) - i} more"
    return ", ".join(said)
