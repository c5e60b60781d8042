"""Trains the model of the present labels and stores it as a round."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotate.corpus.origins import read_origins
from annotate.errors import ConfigError
from annotate.learning.requirements import trainable
from annotate.permissions import make_folder
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.rounds.find import RoundRecord, find_round
from annotate.rounds.housekeeping import UNFINISHED, forget_unfinished, sweep_models
from annotate.rounds.scores import score_model
from annotate.rounds.settings import model_config_of, seed_of
from annotate.rounds.training_data import TrainingData, read_training_data, reader
from annotate.rounds.warnings import warnings_of_model, warnings_of_project
from annotate.types import Split
from db.engine import writing
from db.rounds import add_round

if TYPE_CHECKING:
    from annotate.learning.checkpoint import Checkpoint

KEEP_SECONDS = 3600.0
"""Longest wait of a trained model for another writing command."""


def ensure_round(
    project: Project, *, device: str | None, seed: int | None, progress: Progress = SILENT
) -> int | None:
    """Id of the round that fits the present labels, features and settings, trained now if there is none.

    None when there are too few labels to train. The caller does not hold `project.writing()`: others
    may write while the model is trained. Raises `ModelError`, `FeatureError` and `ProjectBusy`.
    """
    model_config_of(project)  # impossible settings are reported before anything is computed
    data = read_training_data(project, seed=seed_of(project, seed))
    if not data.trainable():
        return None
    trained = find_round(project, data)
    if trained is not None:
        return trained.id
    return train_round(project, data, device=device, seed=seed, progress=progress).id


def train_round(
    project: Project, data: TrainingData, *, device: str | None, seed: int | None, progress: Progress,
    force: bool = False,
) -> RoundRecord:  # fmt: skip
    """Train on `data`, which has a trainable task, and take the writer lock only to keep the model.

    A round of the same data that another command wrote meanwhile is taken instead, unless `force`.
    The model's folder is written before its row, so that no row lacks its model; a folder without a row is
    a leftover of a crash, which the next training deletes.
    """
    from annotate.learning.checkpoint import claim, write
    from annotate.learning.device import choose_device

    chosen = choose_device(device or project.settings.train.device)
    make_folder(project.models)  # a missing permission is reported before the work is done
    started = time.monotonic()
    keep = project.models / UNFINISHED / data.hash
    checkpoint = _fit(project, data, seed_of(project, seed), chosen, progress, keep)
    metrics = score_model(project, checkpoint, data, chosen)
    seconds = time.monotonic() - started
    settings = _settings(project, checkpoint, data, chosen)
    with project.writing(wait_seconds=KEEP_SECONDS):
        trained = None if force else find_round(project, data)
        if trained is not None:
            return trained
        name = sweep_models(project)
        write(checkpoint, project.models / name, unclaimed=True)
        with writing(project.engine) as session:
            round_id = add_round(
                session,
                seed=seed_of(project, seed),
                labels_hash=data.hash,
                settings=settings,
                metrics=metrics,
                model=name,
                seconds=seconds,
            )
        claim(project.models / name)
    forget_unfinished(project, keep)
    return RoundRecord(round_id, seconds, settings, metrics)


def _fit(
    project: Project, data: TrainingData, seed: int, device: str, progress: Progress, keep: Path
) -> "Checkpoint":
    from annotate.learning.ensemble import fit_ensemble
    from annotate.learning.prepared import TrainingSet

    config = model_config_of(project)
    tasks = trainable(data.trainable(), config.unimodal_labels)
    training_set = TrainingSet(
        tasks=tasks,
        train=data.sample_ids(Split.TRAIN, tasks),
        valid=data.sample_ids(Split.VALID, tasks),
        labels={**data.labels[Split.TRAIN], **data.labels[Split.VALID]},
        read=reader(project),
        extractors=data.extractors,
        origins=read_origins(project),
    )
    events = _events(project, keep.name[:12])
    return fit_ensemble(
        training_set, config, seed=seed, device=device, progress=progress, keep=keep, events=events
    )


def _events(project: Project, name: str) -> Path | None:
    """The folder for the TensorBoard log of one training; None if there is to be none."""
    subfolder = project.settings.train.tensorboard
    if not subfolder:
        return None
    folder = project.root / subfolder / name
    try:
        make_folder(folder)
    except OSError as error:
        raise ConfigError(
            f"train.tensorboard: the folder {folder} cannot be made: {error.strerror}",
            hint='name another folder, or set it to ""',
        ) from error
    return folder


def _settings(project: Project, checkpoint: "Checkpoint", data: TrainingData, device: str) -> dict[str, Any]:
    from annotate.learning.conflict import together

    return {
        "device": device,
        "epochs": [fitted.epochs for fitted in checkpoint.fitted],
        "labels": data.counts(),
        "extractors": {m.value: name for m, name in data.extractors.items()},
        "recipe": project.settings.train.network_options(),
        "warnings": [*warnings_of_model(checkpoint, data), *warnings_of_project(project, data)],
        "notes": list(checkpoint.notes),
        "conflicts": [asdict(conflict) for conflict in together(one.conflicts for one in checkpoint.fitted)],
        "search": None if checkpoint.search is None else asdict(checkpoint.search),
    }
