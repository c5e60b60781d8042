"""Labels and features as padded tensors, with a mask for every part that may be missing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from annotate.errors import ModelError
from annotate.learning.encoder import condense
from annotate.types import Kind, Label, Modality, Task

FeatureReader = Callable[[Modality, Sequence[str]], Sequence[NDArray[np.float32]]]
"""(modality, sample ids) -> per sample (frames, dim), in the order asked."""

CHUNK = 256
"""Samples whose raw features are in memory at the same time."""

FARTHEST = 5.0
"""Standard deviations at which a standardised value is cut: a column that is rare in train would otherwise
shout (one n-gram seen once among a thousand samples has a value of 32)."""


@dataclass(frozen=True, slots=True)
class Standardiser:
    """Centre and spread of each column of a modality's condensed rows, over the train samples only."""

    mean: NDArray[np.float32]
    """(width,)"""
    inverse_scale: NDArray[np.float32]
    """(width,) 0 where the column never varied: what was constant in train says nothing."""

    @classmethod
    def fit(cls, samples: Sequence[NDArray[np.float32]]) -> "Standardiser":
        """`samples` are (rows, width) each; all of them empty is allowed."""
        rows = np.concatenate(samples).astype(np.float64)
        if len(rows) == 0:
            return cls(np.zeros(rows.shape[1], np.float32), np.zeros(rows.shape[1], np.float32))
        mean, scale = rows.mean(axis=0), rows.std(axis=0)
        varies = scale > 1e-6 * np.maximum(np.abs(mean), 1e-3)
        inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=varies)
        return cls(mean.astype(np.float32), inverse.astype(np.float32))

    def apply(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows, width) -> (rows, width)."""
        return np.clip((rows - self.mean) * self.inverse_scale, -FARTHEST, FARTHEST)


@dataclass(frozen=True, slots=True)
class Target:
    """How a regression task's scale and the network's unit scale relate: value = centre + scale * output."""

    centre: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, task: Task, labels: Sequence[Label]) -> "Target":
        """Mean and spread of the train labels; a constant label keeps half the scale's width as spread."""
        if task.dimension.kind is Kind.CLASSIFICATION:
            return cls()
        values = np.array([float(label.value) for label in labels])
        half = (task.dimension.high - task.dimension.low) / 2
        spread = float(values.std())
        return cls(float(values.mean()), spread if spread > 1e-3 * half else half)


@dataclass(frozen=True, slots=True)
class Batch:
    """n samples, ready for the network."""

    values: Mapping[Modality, Tensor]
    """(n, rows, width) standardised, zeros where nothing is."""
    masks: Mapping[Modality, Tensor]
    """(n, rows) True where a row is; all False: the modality is missing."""
    targets: Mapping[str, Tensor]
    """By task id: (n,) in unit scale for regression, (n, classes) shares of the raters for classification."""
    known: Mapping[str, Tensor]
    """By task id: (n,) True where the label exists; elsewhere the target is filler."""

    def __len__(self) -> int:
        return len(next(iter(self.masks.values())))

    def take(self, indices: Tensor) -> "Batch":
        """The samples at `indices`."""
        return self._each(lambda tensor: tensor[indices])

    def to(self, device: str) -> "Batch":
        """The same on `device`."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return Batch(
            {m: change(t) for m, t in self.values.items()},
            {m: change(t) for m, t in self.masks.items()},
            {i: change(t) for i, t in self.targets.items()},
            {i: change(t) for i, t in self.known.items()},
        )


Condensed = Mapping[Modality, list[NDArray[np.float32]]]
"""By modality: (rows, width) per sample."""


def read_condensed(
    read: FeatureReader, modalities: Sequence[Modality], sample_ids: Sequence[str]
) -> dict[Modality, list[NDArray[np.float32]]]:
    """Read and condense `CHUNK` samples at a time.

    Raises `ModelError` when a feature is NaN or infinite.
    """
    found: dict[Modality, list[NDArray[np.float32]]] = {m: [] for m in modalities}
    for start in range(0, len(sample_ids), CHUNK):
        ids = sample_ids[start : start + CHUNK]
        for modality in modalities:
            for sample_id, frames in zip(ids, read(modality, ids), strict=True):
                _require_finite(frames, modality, sample_id)
                found[modality].append(condense(frames))
    return found


def _require_finite(frames: NDArray[np.float32], modality: Modality, sample_id: str) -> None:
    if not np.isfinite(frames).all():
        raise ModelError(
            f"the {modality.word} features of sample {sample_id} hold NaN or infinity",
            hint=f"choose another {modality.word} extractor under [features] and run `annotate extract`",
        )


def fit_standardisers(condensed: Condensed) -> dict[Modality, Standardiser]:
    """One per modality; `condensed` holds train samples only."""
    return {m: Standardiser.fit(samples) for m, samples in condensed.items()}


def make_batch(
    condensed: Condensed,
    standardisers: Mapping[Modality, Standardiser],
    targets: Mapping[str, Tensor] | None = None,
    known: Mapping[str, Tensor] | None = None,
) -> Batch:
    """Standardise and pad; without targets for prediction.

    Raises `ModelError` when the features are of another width than the standardiser's.
    """
    padded = {m: _pad(samples, standardisers[m], m) for m, samples in condensed.items()}
    return Batch(
        {m: values for m, (values, _) in padded.items()},
        {m: mask for m, (_, mask) in padded.items()},
        targets or {},
        known or {},
    )


def _pad(
    samples: Sequence[NDArray[np.float32]], standardiser: Standardiser, modality: Modality
) -> tuple[Tensor, Tensor]:
    width = len(standardiser.mean)
    longest = max((len(rows) for rows in samples), default=0)
    values = np.zeros((len(samples), max(longest, 1), width), np.float32)
    mask = np.zeros(values.shape[:2], bool)
    for i, rows in enumerate(samples):
        if rows.shape[1] != width:
            raise ModelError(
                f"the {modality.word} features have another width than those the model was trained with",
                hint="run `annotate train`",
            )
        values[i, : len(rows)] = standardiser.apply(rows)
        mask[i, : len(rows)] = True
    return torch.from_numpy(values), torch.from_numpy(mask)


def encode_labels(
    tasks: Sequence[Task],
    sample_ids: Sequence[str],
    labels: Mapping[tuple[str, str], Label],
    targets: Mapping[str, Target],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Targets and masks by task id; `labels` by (sample id, task id)."""
    encoded: dict[str, Tensor] = {}
    known: dict[str, Tensor] = {}
    for task in tasks:
        found = [labels.get((sample_id, task.id)) for sample_id in sample_ids]
        known[task.id] = torch.tensor([label is not None for label in found], dtype=torch.bool)
        encoded[task.id] = torch.tensor(
            np.array([_target(task, label, targets[task.id]) for label in found], np.float32)
        )
    return encoded, known


def _target(task: Task, label: Label | None, target: Target) -> float | list[float]:
    if task.dimension.kind is Kind.REGRESSION:
        return 0.0 if label is None else (float(label.value) - target.centre) / target.scale
    shares = [label.distribution.get(a.alias, 0.0) if label else 0.0 for a in task.dimension.answers]
    total = sum(shares)
    return [share / total for share in shares] if total else shares
