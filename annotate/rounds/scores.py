"""Scores of a trained model on the valid and test splits."""

from typing import TYPE_CHECKING

from annotate.corpus.origins import read_origins
from annotate.project import Project
from annotate.rounds.training_data import TrainingData, reader
from annotate.types import Split

if TYPE_CHECKING:
    from annotate.learning.checkpoint import Checkpoint

SCORED = (Split.VALID, Split.TEST)


def score_model(
    project: Project, checkpoint: "Checkpoint", data: TrainingData, device: str
) -> dict[str, dict[str, dict[str, float]]]:
    """Scores by split and task id, against the labels of that task; tasks without labels are absent."""
    from annotate.learning.metrics import scores_of
    from annotate.learning.predict import predict

    result: dict[str, dict[str, dict[str, float]]] = {}
    origins = read_origins(project)
    for split in SCORED:
        ids = data.sample_ids(split, checkpoint.tasks)
        position = {sample_id: i for i, sample_id in enumerate(ids)}
        predictions = predict(checkpoint, reader(project), ids, device, origins).predictions
        result[split.value] = {}
        for task in checkpoint.tasks:
            labels = data.of_task(task, split)
            if labels:
                rows = [position[label.sample_id] for label in labels]
                result[split.value][task.id] = scores_of(predictions[task.id].of(rows), labels)
    return result
