"""Train the multi-task model on the labels so far, and say how good it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotate.errors import NothingToDo
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.rounds.find import RoundRecord, find_round
from annotate.rounds.settings import recipe_of, seed_of
from annotate.rounds.train import train_round
from annotate.rounds.training_data import TrainingData, read_training_data


@dataclass(frozen=True, slots=True)
class TrainReport:
    """The round, what it learned from, and its scores on samples it never saw."""

    round: int
    device: str
    seconds: float
    epochs: tuple[int, ...]
    """Run by each member of the ensemble."""
    labels: Mapping[str, Mapping[str, int]]
    """By task id and split, audit samples aside."""
    scores: list[dict[str, Any]]
    """One row per split and task with labels: ``split``, ``task``, ``n`` and each score."""
    conflicts: list[dict[str, Any]]
    """One row for each two tasks that share weights: ``cosine`` between their gradients, ``conflicting``, the
    share of the ``steps`` looked at in which it was negative; the two that pull apart most first."""
    warnings: list[str]
    notes: list[str]
    """What the training found: chosen options, shared parts."""
    note: str
    next: str


def train(
    project: Project,
    *,
    device: str | None = None,
    seed: int | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> TrainReport:
    """Train on the labels so far, or report the round that already did; `force` trains in any case.

    Raises `ConfigError` for a plug-in that does not exist, `NothingToDo` with too few labels, `UsageError`
    or `ModelError` for a device that cannot be,
    `FeatureError` when features are missing, `ModelError` when training fails (nothing is written then).
    """
    if device is not None:
        from annotate.learning.device import choose_device

        choose_device(device)
    recipe_of(project)  # what cannot be is said before anything is computed
    with project.writing():  # so that what another command is about to write is learned from too
        data = read_training_data(project, seed=seed_of(project, seed))
    _require_labels(data)
    found = None if force else find_round(project, data)
    if found is not None:
        return _report(found, f"nothing changed since round {found.id}; `--force` trains all the same")
    made = train_round(project, data, device=device, seed=seed, progress=progress, force=force)
    return _report(made, "")


def _require_labels(data: TrainingData) -> None:
    if data.trainable():
        return
    needs = "; ".join(f"{task.id} needs {data.missing(task)}" for task in data.tasks)
    raise NothingToDo(
        f"too few labels to train: {needs}",
        hint="run `annotate next-batch`, let raters answer in Label Studio, then `annotate pull`",
    )


def _report(record: RoundRecord, note: str) -> TrainReport:
    rows: list[dict[str, Any]] = [
        {"split": split, "task": task, **scores}
        for split, tasks in record.metrics.items()
        for task, scores in tasks.items()
    ]
    return TrainReport(
        round=record.id,
        device=record.settings["device"],
        seconds=round(record.seconds, 2),
        epochs=tuple(record.settings["epochs"]),
        labels=record.settings["labels"],
        scores=rows,
        conflicts=list(record.settings.get("conflicts", [])),
        warnings=list(record.settings["warnings"]),
        notes=list(record.settings.get("notes", [])),
        note=note,
        next="annotate next-batch -n 20",
    )
