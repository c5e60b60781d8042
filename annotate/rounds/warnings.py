"""Warnings about missing labels or features of a training, and about unreliable scores."""

from typing import TYPE_CHECKING

from annotate.corpus.gaps import gap_warnings
from annotate.corpus.origins import read_origins
from annotate.project import Project
from annotate.rounds.settings import overruled
from annotate.rounds.training_data import TrainingData
from annotate.types import Kind, Split
from annotate.wording import counted, either
from db.engine import reading

if TYPE_CHECKING:
    from annotate.learning.checkpoint import Checkpoint

FEW_LABELS = 30
"""Fewest test labels for reliable scores."""


def warnings_of_model(checkpoint: "Checkpoint", data: TrainingData) -> list[str]:
    """Warnings about missing heads, valid labels, features, different labels and test labels."""
    warnings = [f"{t.id} has no head: it needs {data.missing(t)}" for t in data.tasks if data.missing(t)]
    tasks = checkpoint.tasks
    if any(fitted.valid_loss is None for fitted in checkpoint.fitted):
        warnings.append("too few valid labels for early stopping: trained for a fixed number of epochs")
    if data.without_features:
        warnings.append(
            f"{counted(data.without_features, 'labelled sample')} "
            f"{either(data.without_features, 'has', 'have')} no features: run `annotate extract`"
        )
    for task in tasks:
        train = {label.value for label in data.of_task(task, Split.TRAIN)}
        if task.dimension.kind is Kind.REGRESSION and len(train) < 2:
            warnings.append(f"all train labels of {task.id} are the same: its head can learn nothing else")
    for task in tasks:
        count = len(data.of_task(task, Split.TEST))
        if count == 0:
            warnings.append(f"{task.id} has no test labels, so no test scores")
        elif count < FEW_LABELS:
            warnings.append(f"{task.id} has {counted(count, 'test label')}: these scores say little")
    return warnings


def warnings_of_project(project: Project, data: TrainingData) -> list[str]:
    """Warnings about overridden settings, a single group, and gaps in the samples."""
    warnings, train = [], project.settings.train
    over = overruled(train)
    if over:
        warnings.append(
            f"the preset {train.preset} is overridden for {', '.join(over)}: see `annotate doctor`"
        )
    ids = data.sample_ids(Split.TRAIN, data.trainable())
    if len({origin.group for origin in read_origins(project)(ids)}) < 2:
        warnings.append(
            "all train labels are of one group, such as one speaker: the model may fail for others"
        )
    with reading(project.engine) as session:
        return [*warnings, *gap_warnings(project, session)]
