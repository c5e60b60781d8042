"""Reports the progress of a training."""

from annotate.learning.results import Epoch
from annotate.progress import Bar

MOST_CHARACTERS = 70
"""Longest list of losses, so that it fits on a line of a terminal."""


class ProgressReporter:
    """Shows the end of each epoch on a progress bar that counts epochs over several trainings."""

    def __init__(self, bar: Bar) -> None:
        self.bar = bar
        self.trainings = self.before = self.done = 0
        """Number of trainings begun; epochs of earlier ones; epochs of the current one."""

    def begin(self) -> None:
        """Start another training: some ensembles need several."""
        self.trainings += 1
        self.before, self.done = self.before + self.done, 0

    def end(self) -> None:
        """Finish; epochs that early stopping saved are no longer expected."""
        self.bar.expect(max(self.before + self.done, 1))

    def __call__(self, epoch: Epoch) -> None:
        """Report an epoch. A resumed training starts with a jump."""
        self.bar.expect(self.before + epoch.most)
        training = f"training {self.trainings}, " if self.trainings > 1 else ""
        self.bar.advance(epoch.number - self.done, note=f"{training}{note(epoch)}")
        self.bar.line("losses", losses(epoch))
        self.done = epoch.number


def note(epoch: Epoch) -> str:
    """The epoch and the valid loss."""
    valid = "" if epoch.valid_loss is None else f", valid loss {epoch.valid_loss:.3f}"
    return f"epoch {epoch.number}{valid}"


def losses(epoch: Epoch) -> str:
    """The train loss of each task, as many as fit."""
    parts: list[str] = []
    for i, (task_id, loss) in enumerate(epoch.losses.items()):
        parts.append(f"{task_id} {loss:.3f}")
        if len(", ".join(parts)) > MOST_CHARACTERS and i:
            return f"{', '.join(parts[:-1])} and {len(epoch.losses) - i} more"
    return ", ".join(parts)
