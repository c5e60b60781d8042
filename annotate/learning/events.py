"""Writes the course of a training for TensorBoard, where it is wanted."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from annotate.errors import ConfigError
from annotate.learning.results import Epoch


def require_tensorboard() -> None:
    """Raises `ConfigError` when the package is not installed."""
    if find_spec("tensorboard") is None:
        raise ConfigError(
            "train.tensorboard needs the package tensorboard, which is not installed",
            hint="pip install -e '.[tensorboard]' in the checkout of annotate, or set it to \"\"",
        )


class Events:
    """A folder per training, `1`, `2`, ...: at the end of each epoch the train loss of each task, the valid
    loss, how much each task's loss weighs, and how many members still learn."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.trainings = folder, 0
        self.writer: Any = None

    def begin(self) -> None:
        """Another training begins: some ensembles need several."""
        self.trainings += 1

    def __call__(self, epoch: Epoch) -> None:
        """What an earlier run wrote of this epoch and later ones is no longer shown."""
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.folder / str(self.trainings)), purge_step=epoch.number)
        for name, value in values(epoch).items():
            self.writer.add_scalar(name, value, epoch.number)

    def end(self) -> None:
        """Put the rest on the disk."""
        if self.writer is not None:
            self.writer.close()
        self.writer = None


def values(epoch: Epoch) -> Mapping[str, float]:
    """By the name that TensorBoard shows them under."""
    scalars = {f"train loss/{task_id}": loss for task_id, loss in epoch.losses.items()}
    scalars |= {f"weight/{task_id}": weight for task_id, weight in epoch.weights().items()}
    scalars["members that learn"] = float(epoch.running)
    if epoch.valid_loss is not None:
        scalars["valid loss"] = epoch.valid_loss
    return scalars
