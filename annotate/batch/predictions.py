"""Predictions for the samples of a pool, computed on demand from files only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annotate.corpus.embeddings import counted, embed, pooled
from annotate.feature_store import FeatureStore
from annotate.types import UNIMODAL, Kind, Modality, TaskPrediction

if TYPE_CHECKING:
    from annotate.learning.batches import Origins
    from annotate.learning.checkpoint import Checkpoint
    from db.features import FeatureLocation

FeatureReader = Callable[[Modality, Sequence[str]], Sequence[NDArray[np.float32]]]
"""(modality, sample ids) -> (frames, dim) of each sample, in that order."""
READ_AT_ONCE = 4096
"""Number of samples whose frames are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class PoolPredictions:
    """Predictions, embeddings and head inputs of some samples."""

    position: Mapping[str, int]
    """By sample id: its row in the arrays."""
    predictions: Mapping[str, TaskPrediction]
    """By task id; empty while there is no model."""
    embeddings: NDArray[np.float32]
    """(n, d)"""
    representations: Mapping[str, NDArray[np.float32]]
    """By task id: (n, hidden) input of its head; empty if it was not requested."""
    device: str = "cpu"
    """Where a strategy may compute."""

    def rows(self, sample_ids: Sequence[str]) -> NDArray[np.intp]:
        """(k,) rows of these samples."""
        return np.array([self.position[i] for i in sample_ids], dtype=np.intp)

    def beliefs(self, sample_ids: Sequence[str]) -> list[tuple[str, str, dict[str, Any]]]:
        """(sample id, task id, value to store) of every prediction for these samples."""
        return [
            (sample_id, task_id, _stored(prediction, self.position[sample_id]))
            for sample_id in sample_ids
            for task_id, prediction in self.predictions.items()
        ]


class Predictor(Protocol):
    """Predicts any samples of a snapshot, without a database."""

    def __call__(self, sample_ids: Sequence[str], *, representations: bool) -> PoolPredictions:
        """Predictions for these samples; the inputs of the heads only if `representations`.

        Raises `FeatureError` for a damaged shard, `ModelError` for features that the model cannot read.
        """


class FeatureIndex:
    """Where the features of samples are stored, compact enough for millions of samples."""

    def __init__(self, store: FeatureStore, sample_ids: Sequence[str]) -> None:
        """An index without locations, for samples in this order."""
        self._store = store
        self._row = {sample_id: row for row, sample_id in enumerate(sample_ids)}
        self._paths: dict[Modality, list[str]] = {}
        self._path_of: dict[Modality, NDArray[np.int32]] = {}
        self._position: dict[Modality, NDArray[np.int32]] = {}

    def add(self, modality: Modality, locations: "Mapping[str, FeatureLocation]") -> None:
        """Note where the features of a modality are."""
        paths: dict[str, int] = {}
        path_of = np.full(len(self._row), -1, np.int32)
        position = np.zeros(len(self._row), np.int32)
        for sample_id, location in locations.items():
            row = self._row[sample_id]
            path_of[row] = paths.setdefault(location.path, len(paths))
            position[row] = location.position
        self._paths[modality], self._path_of[modality] = list(paths), path_of
        self._position[modality] = position

    def complete(self) -> set[str]:
        """Ids of the samples that have features of every modality."""
        has_all = np.all([path_of >= 0 for path_of in self._path_of.values()], axis=0)
        return {sample_id for sample_id, row in self._row.items() if has_all[row]}

    def read(self, modality: Modality, sample_ids: Sequence[str]) -> list[NDArray[np.float32]]:
        """(frames, dim) of each sample, in that order. Raises `FeatureError` for a damaged shard."""
        unique = list(dict.fromkeys(sample_ids))
        by_path: dict[str, list[str]] = {}
        for sample_id in unique:
            path = self._paths[modality][self._path_of[modality][self._row[sample_id]]]
            by_path.setdefault(path, []).append(sample_id)
        frames: dict[str, NDArray[np.float32]] = {}
        for path, ids in sorted(by_path.items()):
            positions = [int(self._position[modality][self._row[i]]) for i in ids]
            frames |= zip(ids, self._store.read(path, positions), strict=True)
        return [frames[i] for i in sample_ids]


@dataclass(frozen=True, slots=True)
class FeatureEmbedder:
    """The `Predictor` while there is no model: it gives embeddings of the features alone."""

    read: FeatureReader
    tokens: frozenset[Modality]
    """Modalities whose features are token ids."""

    def __call__(self, sample_ids: Sequence[str], *, representations: bool) -> PoolPredictions:
        """See `Predictor`."""
        ids = sorted(set(sample_ids))
        position = {sample_id: row for row, sample_id in enumerate(ids)}
        return PoolPredictions(position, {}, self.embed(ids), {})

    def embed(self, sample_ids: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) embeddings; frames are read piece by piece, because those of a corpus may not fit into
        memory."""
        if not sample_ids:
            return np.zeros((0, 1), dtype=np.float32)
        pieces = [
            sample_ids[start : start + READ_AT_ONCE] for start in range(0, len(sample_ids), READ_AT_ONCE)
        ]
        return embed([
            np.concatenate([
                (counted if modality in self.tokens else pooled)(self.read(modality, piece))
                for piece in pieces
            ])
            for modality in UNIMODAL
        ])  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelPredictor:
    """The `Predictor` of a trained round."""

    checkpoint: "Checkpoint"
    read: FeatureReader
    origins: "Origins"
    device: str

    def __call__(self, sample_ids: Sequence[str], *, representations: bool) -> PoolPredictions:
        """See `Predictor`."""
        from annotate.learning.predict import predict

        ids = sorted(set(sample_ids))
        output = predict(
            self.checkpoint, self.read, ids, self.device, self.origins, representations=representations
        )
        position = {sample_id: row for row, sample_id in enumerate(ids)}
        return PoolPredictions(
            position, output.predictions, output.embeddings, output.representations, self.device
        )


def _stored(prediction: TaskPrediction, row: int) -> dict[str, Any]:
    dimension = prediction.task.dimension
    mean: float | str = float(prediction.mean[row])
    if dimension.kind is Kind.MULTILABEL:
        ticked = zip(dimension.answers, prediction.ticked[row], strict=True)
        mean = dimension.joined([answer.alias for answer, is_ticked in ticked if is_ticked])
    elif dimension.kind is Kind.CLASSIFICATION:
        mean = dimension.answers[int(prediction.mean[row])].alias
    probs = prediction.of([row]).probs[0]
    return {
        "mean": mean,
        "probs": {a.alias: float(p) for a, p in zip(dimension.answers, probs, strict=True)},
        "epistemic": float(prediction.epistemic[row]),
        "aleatoric": float(prediction.aleatoric[row]),
    }
