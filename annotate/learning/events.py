"""Logs a training for TensorBoard."""

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
    """Logs each epoch into a folder per training, `1`, `2`, ...: the train loss and weight of each task, the
    valid loss, and the number of members that still train."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.trainings = folder, 0
        self.writer: Any = None

    def begin(self) -> None:
        """Begin another training; some ensembles need several."""
        self.trainings += 1

    def __call__(self, epoch: Epoch) -> None:
        """Log an epoch; TensorBoard then hides what an interrupted run logged for it and later epochs."""
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.folder / str(self.trainings)), purge_step=epoch.number)
        for name, value in values(epoch).items():
            self.writer.add_scalar(name, value, epoch.number)

    def end(self) -> None:
        """Write the rest to disk."""
        if self.writer is not None:
            self.writer.close()
        self.writer = None


def values(epoch: Epoch) -> Mapping[str, float]:
    """The logged scalars by their names in TensorBoard."""
    scalars = {f"train loss/{task_id}": loss for task_id, loss in epoch.losses.items()}
    scalars |= {f"weight/{task_id}": weight for task_id, weight in epoch.weights().items()}
    scalars["members that learn"] = float(epoch.running)
    if epoch.valid_loss is not None:
        scalars["valid loss"] = epoch.valid_loss
    return scalars
