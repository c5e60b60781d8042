"""Train the multi-task model on the labels so far, and report its scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotate.errors import NothingToDo
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.rounds.find import RoundRecord, find_round
from annotate.rounds.settings import model_config_of, seed_of
from annotate.rounds.train import train_round
from annotate.rounds.training_data import read_training_data


@dataclass(frozen=True, slots=True)
class TrainReport:
    """The trained round, its training data, and its scores on held-out samples."""

    round: int
    device: str
    seconds: float
    epochs: tuple[int, ...]
    """Number of epochs per member of the ensemble."""
    labels: Mapping[str, Mapping[str, int]]
    """By task id and split, without audit samples."""
    scores: list[dict[str, Any]]
    """One row per split and task with labels: ``split``, ``task``, ``n`` and each score."""
    conflicts: list[dict[str, Any]]
    """One row per pair of tasks that share weights, most conflicting first: ``cosine`` between their
    gradients, and ``conflicting``, the share of the sampled ``steps`` in which it was negative."""
    warnings: list[str]
    notes: list[str]
    """Options that the training chose, parts that it shared."""
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
    """Train on the labels so far, or report the round that was trained on them; `force` trains in any case.

    Raises `ConfigError` for an unknown plug-in, `NothingToDo` with too few labels, `UsageError` or
    `ModelError` for a device that cannot be used, `FeatureError` when features are missing, and
    `ModelError` when training fails, which writes nothing.
    """
    if device is not None:
        from annotate.learning.device import choose_device

        choose_device(device)
    model_config_of(project)  # raises for impossible settings before anything is computed
    with project.writing():  # waits for another command, whose results are learned from too
        data = read_training_data(project, seed=seed_of(project, seed))
    if not data.trainable():
        needs = "; ".join(f"{task.id} needs {data.missing(task)}" for task in data.tasks)
        raise NothingToDo(
            f"too few labels to train: {needs}",
            hint="run `annotate next-batch`, let raters answer in Label Studio, then `annotate pull`",
        )
    existing = None if force else find_round(project, data)
    if existing is not None:
        return _report(existing, f"nothing changed since round {existing.id}; `--force` trains all the same")
    trained = train_round(project, data, device=device, seed=seed, progress=progress, force=force)
    return _report(trained, "")


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
