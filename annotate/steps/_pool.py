"""What a query strategy is shown: candidates with a model's beliefs, or bare features before there is one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.project import Project
from annotate.steps._embed import counted, embed, pooled
from annotate.types import UNIMODAL, Kind, Modality, Pool, TaskPrediction
from db.batches import Candidate

PIECE = 4096
"""Samples whose frames are in memory at once."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Predictions and embeddings of some samples."""

    position: dict[str, int]
    """By sample id, where it stands in the arrays."""
    predictions: dict[str, TaskPrediction]
    """By task id; empty at a cold start."""
    embeddings: NDArray[np.float32]
    """(n, d)"""

    def pool(self, project: Project, candidates: Sequence[Candidate], covered: Sequence[str]) -> Pool:
        """The candidates as a strategy sees them; `covered` are the samples whose neighbours are known."""
        rows = self._rows([c.sample_id for c in candidates])
        return Pool(
            sample_ids=np.array([c.sample_id for c in candidates], dtype=np.str_),
            predictions={task_id: p.of(rows) for task_id, p in self.predictions.items()},
            missing=_missing(project, candidates),
            embeddings=self.embeddings[rows],
            labelled_embeddings=self.embeddings[self._rows(covered)],
        )

    def beliefs(self, sample_ids: Sequence[str]) -> list[tuple[str, str, dict[str, Any]]]:
        """(sample id, task id, what is stored) of what the model believes about some samples."""
        return [
            (sample_id, task_id, _belief(prediction, self.position[sample_id]))
            for sample_id in sample_ids
            for task_id, prediction in self.predictions.items()
        ]

    def _rows(self, sample_ids: Sequence[str]) -> NDArray[np.intp]:
        return np.array([self.position[i] for i in sample_ids], dtype=np.intp)


def look(project: Project, round_id: int | None, sample_ids: Sequence[str], device: str | None) -> Sight:
    """See these samples through a round's model, or through their features when there is none.

    Raises `FeatureError` when some were not extracted yet.
    """
    ordered = sorted(set(sample_ids))
    position = {sample_id: i for i, sample_id in enumerate(ordered)}
    if round_id is None:
        return Sight(position, {}, _bare(project, ordered))
    from annotate.steps._model import view

    predictions, embeddings = view(project, round_id, ordered, device=device)
    return Sight(position, predictions, embeddings)


def _bare(project: Project, sample_ids: list[str]) -> NDArray[np.float32]:
    if not sample_ids:
        return np.zeros((0, 1), dtype=np.float32)
    return embed([_pooled(project, modality, sample_ids) for modality in UNIMODAL])


def _pooled(project: Project, modality: Modality, sample_ids: list[str]) -> NDArray[np.float64]:
    """(n, dim), read piece by piece: the frames of a large corpus do not fit into memory at once."""
    from annotate.steps._features import open_extractor, read_features

    tokens = getattr(open_extractor(project, modality), "tokens", False)
    pieces = [sample_ids[start : start + PIECE] for start in range(0, len(sample_ids), PIECE)]
    condense = counted if tokens else pooled
    return np.concatenate([condense(read_features(project, modality, piece)) for piece in pieces])


def _missing(project: Project, candidates: Sequence[Candidate]) -> dict[str, NDArray[np.bool_]]:
    return {
        task.id: np.array(
            [task.modality in c.passes and task.id not in c.labelled for c in candidates], dtype=bool
        )
        for task in project.settings.tasks()
    }


def _belief(prediction: TaskPrediction, row: int) -> dict[str, Any]:
    dimension = prediction.task.dimension
    probs = prediction.of([row]).probs[0]
    return {
        "mean": _named(prediction, row),
        "probs": {a.alias: float(p) for a, p in zip(dimension.answers, probs, strict=True)},
        "epistemic": float(prediction.epistemic[row]),
        "aleatoric": float(prediction.aleatoric[row]),
    }


def _named(prediction: TaskPrediction, row: int) -> float | str:
    """What a label with this prediction's value would hold."""
    dimension = prediction.task.dimension
    if dimension.kind is Kind.MULTILABEL:
        ticks = prediction.ticked[row]
        return dimension.joined([a.alias for a, tick in zip(dimension.answers, ticks, strict=True) if tick])
    mean = float(prediction.mean[row])
    return mean if dimension.kind is Kind.REGRESSION else dimension.answers[int(mean)].alias
