"""What a query strategy is shown: candidates with a model's beliefs, or bare features before there is one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.batch.known import numbered, numbers, voted
from annotate.corpus.embeddings import counted, embed, pooled
from annotate.project import Project
from annotate.types import UNIMODAL, Kind, Known, Modality, Need, Pool, Task, TaskPrediction, Votes, rows_of
from db.batches import Candidate
from db.engine import reading
from db.labels import read_labels
from db.samples import speakers_of
from db.votes import answers_by_rater

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
    codes: dict[str, NDArray[np.float32]]
    """By task id: (n, hidden) what its head reads; empty when nobody needs it."""
    needs: frozenset[Need]
    device: str

    def pool(self, project: Project, candidates: Sequence[Candidate], covered: Sequence[str]) -> Pool:
        """The candidates as a strategy sees them; `covered` are the samples whose neighbours are known."""
        ids = [c.sample_id for c in candidates]
        rows = self._rows(ids)
        pool = Pool(
            sample_ids=np.array(ids, dtype=np.str_),
            predictions={task_id: p.of(rows) for task_id, p in self.predictions.items()},
            missing=_missing(project, candidates),
            embeddings=self.embeddings[rows],
            known=self._known(project, covered),
            codes=rows_of(self.codes, rows),
            groups=_groups(project, ids),
            device=self.device,
        )
        if Need.VOTES not in self.needs:
            return pool
        here, there = _votes(project, ids, covered)
        return replace(pool, votes=here, known=replace(pool.known, votes=there))

    def _known(self, project: Project, covered: Sequence[str]) -> Known:
        rows = self._rows(covered)
        if Need.LABELS not in self.needs:
            return Known(self.embeddings[rows], rows_of(self.codes, rows))
        said = {task_id: p.of(rows) for task_id, p in self.predictions.items()}
        return Known(self.embeddings[rows], rows_of(self.codes, rows), said, _labels(project, covered))

    def beliefs(self, sample_ids: Sequence[str]) -> list[tuple[str, str, dict[str, Any]]]:
        """(sample id, task id, what is stored) of what the model believes about some samples."""
        return [
            (sample_id, task_id, _belief(prediction, self.position[sample_id]))
            for sample_id in sample_ids
            for task_id, prediction in self.predictions.items()
        ]

    def _rows(self, sample_ids: Sequence[str]) -> NDArray[np.intp]:
        return np.array([self.position[i] for i in sample_ids], dtype=np.intp)


def look(
    project: Project, round_id: int | None, sample_ids: Sequence[str], device: str | None,
    needs: frozenset[Need] = frozenset(),
) -> Sight:  # fmt: skip
    """See these samples through a round's model, or through their features when there is none; as much of
    them as a strategy needs.

    Raises `FeatureError` when some were not extracted yet.
    """
    ordered = sorted(set(sample_ids))
    position = {sample_id: i for i, sample_id in enumerate(ordered)}
    if round_id is None:
        return Sight(position, {}, bare(project, ordered), {}, needs, "cpu")
    from annotate.learning.device import choose_device
    from annotate.rounds.find import predict_round

    seen = predict_round(project, round_id, ordered, device=device, codes=Need.CODES in needs)
    chosen = choose_device(device or project.settings.train.device)
    return Sight(position, seen.predictions, seen.embeddings, seen.codes, needs, chosen)


def bare(project: Project, sample_ids: list[str]) -> NDArray[np.float32]:
    """(n, d) where samples lie to each other by their features alone."""
    if not sample_ids:
        return np.zeros((0, 1), dtype=np.float32)
    return embed([_pooled(project, modality, sample_ids) for modality in UNIMODAL])


def _pooled(project: Project, modality: Modality, sample_ids: list[str]) -> NDArray[np.float64]:
    """(n, dim), read piece by piece: the frames of a large corpus do not fit into memory at once."""
    from annotate.corpus.features import open_extractor, read_features

    tokens = open_extractor(project, modality).tokens
    pieces = [sample_ids[start : start + PIECE] for start in range(0, len(sample_ids), PIECE)]
    condense = counted if tokens else pooled
    return np.concatenate([condense(read_features(project, modality, piece)) for piece in pieces])


def _missing(project: Project, candidates: Sequence[Candidate]) -> dict[str, NDArray[np.bool_]]:
    return {
        task.id: np.array([_worth_asking(task, c) for c in candidates], dtype=bool)
        for task in project.settings.tasks()
    }


def _worth_asking(task: Task, candidate: Candidate) -> bool:
    if task.modality in candidate.partial:
        return task.dimension.name in candidate.partial[task.modality]
    left = task.modality in candidate.passes and task.id not in candidate.labelled
    return left or task.modality in candidate.again


def _votes(project: Project, *sample_ids: Sequence[str]) -> list[dict[str, Votes]]:
    """For each of the lists: by task id, what each rater says of its samples. A person has the same number
    in all of them."""
    tasks, wanted = project.settings.tasks(), {i for ids in sample_ids for i in ids}
    with reading(project.engine) as session:
        said = answers_by_rater(session, tasks, wanted)
    raters = sorted({rater for given in said.values() for rater in given})
    number = {rater: i for i, rater in enumerate(raters)}
    by_number = {
        key: [(number[rater], answer) for rater, answer in given.items()] for key, given in said.items()
    }
    return [voted(tasks, ids, by_number) for ids in sample_ids]


def _groups(project: Project, sample_ids: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    """By ``speaker`` and ``video``: (n,) numbers."""
    with reading(project.engine) as session:
        found = speakers_of(session, sample_ids)
    videos, speakers = ([found[i][part] for i in sample_ids] for part in (0, 1))
    return {"speaker": numbered(speakers), "video": numbered(videos)}


def _labels(project: Project, sample_ids: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """By task id: what people said of these samples, as `Known.labels` has it."""
    with reading(project.engine) as session:
        labels = read_labels(session)
    return numbers(project.settings.tasks(), sample_ids, labels)


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
