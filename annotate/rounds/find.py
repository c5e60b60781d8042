"""Finds the trained model of the current labels, and predicts samples with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annotate.corpus.features import feature_names
from annotate.corpus.origins import read_origins
from annotate.errors import ModelError
from annotate.project import Project
from annotate.rounds.training_data import TrainingData, reader
from annotate.types import Task
from db.engine import reading
from db.rounds import get_round, round_of

if TYPE_CHECKING:
    from annotate.learning.checkpoint import Checkpoint
    from annotate.learning.predict import Predictions
    from db.models import Round


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """The record of one trained model."""

    id: int
    seconds: float
    settings: Mapping[str, Any]
    """``device``, ``epochs`` per member, ``labels`` by task and split, ``extractors``, ``recipe``,
    ``warnings``, ``notes``, ``search``: how options of the sharing were chosen, if they were, and
    ``conflicts``: by two tasks that share weights, how far their gradients agreed."""
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    """By split, by task id, by score."""


def find_round(project: Project, data: TrainingData) -> RoundRecord | None:
    """The newest round of exactly this data whose model folder exists."""
    with reading(project.engine) as session:
        row = round_of(session, data.hash)
        if row is None or not (project.models / row.model).is_dir():
            return None
        return RoundRecord(row.id, row.seconds, row.settings, row.metrics)


def predict_round(
    project: Project, round_id: int, sample_ids: Sequence[str], *, device: str | None = None,
    representations: bool = False,
) -> "Predictions":  # fmt: skip
    """Predictions of a round's model for samples, in that order; `representations` adds inputs of the heads.

    Tasks that had too few labels are absent. Raises `ModelError` when the round or its checkpoint is
    missing, damaged, or made with other features; `FeatureError` when features are missing.
    """
    from annotate.learning.device import choose_device
    from annotate.learning.predict import predict

    chosen = choose_device(device or project.settings.train.device)
    with reading(project.engine) as session:
        row = get_round(session, round_id)
    checkpoint = open_checkpoint(project, round_id, row)
    return predict(
        checkpoint,
        reader(project),
        sample_ids,
        chosen,
        read_origins(project),
        representations=representations,
    )


def open_checkpoint(project: Project, round_id: int, row: "Round | None") -> "Checkpoint":
    """The model of a round, whose row in the database is `row`.

    Raises `ModelError` when the round or its checkpoint is missing or damaged, or was trained for other
    features or answers than those in the settings.
    """
    from annotate.learning.checkpoint import read, require_features

    if row is None:
        raise ModelError(f"there is no round {round_id}", hint="run `annotate train`")
    checkpoint = read(project.models / row.model)
    require_features(checkpoint, feature_names(project))
    present = {task.id: task for task in project.settings.tasks()}
    for task in checkpoint.tasks:
        now = present.get(task.id)
        if now is None or now.dimension.kind is not task.dimension.kind or _values(now) != _values(task):
            raise ModelError(
                f"the model was trained when {task.id} had other answers than annotate.toml has now",
                hint="run `annotate train`",
            )
    return checkpoint


def _values(task: Task) -> list[float | str]:
    return [answer.value for answer in task.dimension.answers]
