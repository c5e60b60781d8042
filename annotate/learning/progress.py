"""Tells whoever waits how a training gets on."""

from annotate.learning.results import Epoch
from annotate.progress import Bar

MOST_CHARACTERS = 70
"""Of the losses beside the bar, so that a line of a terminal holds them."""


class ProgressReporter:
    """Shows the end of each epoch on a bar that counts epochs, one training after the other."""

    def __init__(self, bar: Bar) -> None:
        self.bar = bar
        self.trainings = self.before = self.done = 0
        """How many have begun; epochs of those before, and of the present one."""

    def begin(self) -> None:
        """Another training begins: some ensembles need several."""
        self.trainings += 1
        self.before, self.done = self.before + self.done, 0

    def end(self) -> None:
        """The time that early stopping saved is no longer expected."""
        self.bar.expect(max(self.before + self.done, 1))

    def __call__(self, epoch: Epoch) -> None:
        """A training that goes on after a kill starts with a leap."""
        self.bar.expect(self.before + epoch.most)
        training = f"training {self.trainings}, " if self.trainings > 1 else ""
        self.bar.advance(epoch.number - self.done, note=f"{training}{note(epoch)}")
        self.bar.line("losses", losses(epoch))
        self.done = epoch.number


def note(epoch: Epoch) -> str:
    """The epoch and what decides when to stop."""
    valid = "" if epoch.valid_loss is None else f", valid loss {epoch.valid_loss:.3f}"
    return f"epoch {epoch.number}{valid}"


def losses(epoch: Epoch) -> str:
    """Each task's train loss, as many as fit."""
    parts: list[str] = []
    for i, (task_id, loss) in enumerate(epoch.losses.items()):
        parts.append(f"{task_id} {loss:.3f}")
        if len(", ".join(parts)) > MOST_CHARACTERS and i:
            return f"{', '.join(parts[:-1])} and {len(epoch.losses) - i} more"
    return ", ".join(parts)
