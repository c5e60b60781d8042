"""Warnings about a training: what it lacked, and what its scores cannot tell."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from annotate.corpus.gaps import gap_warnings
from annotate.corpus.origins import read_origins
from annotate.project import Project
from annotate.rounds.settings import overruled
from annotate.rounds.training_data import TrainingData
from annotate.types import Kind, Split, Task
from annotate.wording import counted, either
from db.engine import reading

if TYPE_CHECKING:
    from annotate.learning.checkpoint import Checkpoint

FEW_LABELS = 30
"""Test labels below which the scores say little."""


def warnings_of_model(checkpoint: "Checkpoint", data: TrainingData) -> list[str]:
    """What the training lacked: heads, valid labels, features, different labels, test labels."""
    warnings = [f"{t.id} has no head: it needs {data.missing(t)}" for t in data.tasks if data.missing(t)]
    tasks = checkpoint.tasks
    if any(fitted.valid_loss is None for fitted in checkpoint.fitted):
        warnings.append("too few valid labels to tell when to stop: trained for a fixed number of epochs")
    if data.without_features:
        warnings.append(
            f"{counted(data.without_features, 'labelled sample')} "
            f"{either(data.without_features, 'has', 'have')} no features: run `annotate extract`"
        )
    warnings += _odd_labels(data, tasks)
    for task in tasks:
        count = len(data.of_task(task, Split.TEST))
        if count == 0:
            warnings.append(f"{task.id} has no test labels, so no test scores")
        elif count < FEW_LABELS:
            warnings.append(f"{task.id} has {counted(count, 'test label')}: these scores say little")
    return warnings


def warnings_of_project(project: Project, data: TrainingData) -> list[str]:
    """What the settings and samples of the project do to a training: overridden keys, one group, gaps."""
    warnings, train = [], project.settings.train
    over = overruled(train)
    if over:
        warnings.append(
            f"the preset {train.preset} is overridden for {', '.join(over)}: see `annotate doctor`"
        )
    ids = data.sample_ids(Split.TRAIN, data.trainable())
    if len({origin.group for origin in read_origins(project)(ids)}) < 2:
        warnings.append("all train labels are of one group, such as one speaker: of others nothing is known")
    with reading(project.engine) as session:
        return [*warnings, *gap_warnings(project, session)]


def _odd_labels(data: TrainingData, tasks: Sequence[Task]) -> list[str]:
    return [
        f"all train labels of {task.id} are the same: its head can learn nothing else"
        for task in tasks
        if task.dimension.kind is Kind.REGRESSION
        and len({label.value for label in data.of_task(task, Split.TRAIN)}) < 2
    ]
