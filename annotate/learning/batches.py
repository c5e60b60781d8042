"""Labels and features as padded tensors, with a mask for every part that may be missing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from annotate.errors import ModelError
from annotate.learning.heads.base import Head, Target
from annotate.learning.tensors import Inputs
from annotate.types import Label, Modality

FeatureReader = Callable[[Modality, Sequence[str]], Sequence[NDArray[np.float32]]]
"""(modality, sample ids) -> (frames, dim) per sample, in that order."""

PoolFrames = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(frames, dim) -> (rows, width) of one sample: the fixed pooling of an encoder."""

CHUNK = 256
"""Samples whose raw features are in memory at the same time."""

FARTHEST = 5.0
"""Standardised values are clipped at this many standard deviations: an n-gram that occurs in one of a
thousand samples would otherwise have a value of 32."""


class Origin(NamedTuple):
    """Where a sample comes from."""

    video: str
    start_us: int
    group: str
    """Group that is never split: speaker, episode, video and duplicates."""


Origins = Callable[[Sequence[str]], Sequence[Origin]]
"""Sample ids -> their origins, in that order."""


@dataclass(frozen=True, slots=True)
class Standardiser:
    """Mean and scale of each column of a modality's pooled rows, over the train samples only."""

    mean: NDArray[np.float32]
    """(width,)"""
    inverse_scale: NDArray[np.float32]
    """(width,) 0 for columns that are constant in train."""

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
class Batch:
    """n samples, ready for the network; after `take` with indices (members, b), with a leading member
    axis."""

    inputs: Inputs
    targets: Mapping[str, Tensor]
    """By task id: (n, width of the head's labels)."""
    known: Mapping[str, Tensor]
    """By task id: (n,) True where the label exists; elsewhere the target is filler."""
    weights: Mapping[str, Tensor]
    """By task id: (n,) weight of each label, usually 1."""

    def __len__(self) -> int:
        return self.inputs.video.shape[-1]

    def take(self, indices: Tensor) -> "Batch":
        """The samples at `indices` (b,) or (members, b)."""
        flat = indices.flatten()

        def select(tensor: Tensor) -> Tensor:
            if tensor.dim() < 3:
                return tensor[indices]
            # For wide rows, `index_select` takes a third of the time of indexing.
            return tensor.index_select(0, flat).view(*indices.shape, *tensor.shape[1:])

        return self._each(select)

    def to(self, device: str) -> "Batch":
        """The same on `device`."""
        return self._each(lambda tensor: tensor.to(device))

    @property
    def device(self) -> torch.device:
        """The device of its tensors."""
        return self.inputs.video.device

    def tensors(self) -> list[Tensor]:
        """All tensors, in the order that `of` expects."""
        inputs = self.inputs
        parts = (inputs.values, inputs.masks, self.targets, self.known, self.weights)
        return [inputs.video, inputs.position, *(t for part in parts for t in part.values())]

    def of(self, tensors: Sequence[Tensor]) -> "Batch":
        """The batch with these tensors, in the order of `tensors`."""
        video, position, *others = tensors
        rest = iter(others)
        values = {m: next(rest) for m in self.inputs.values}
        masks = {m: next(rest) for m in self.inputs.masks}
        labels = [{i: next(rest) for i in part} for part in (self.targets, self.known, self.weights)]
        return Batch(Inputs(values, masks, video, position), *labels)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return self.of([change(tensor) for tensor in self.tensors()])


PooledFrames = Mapping[Modality, list[NDArray[np.float32]]]
"""By modality: (rows, width) per sample."""


def read_pooled(
    read: FeatureReader, pool_frames: Mapping[Modality, PoolFrames], sample_ids: Sequence[str]
) -> dict[Modality, list[NDArray[np.float32]]]:
    """Read and pool `CHUNK` samples at a time.

    Raises `ModelError` when a feature is NaN or infinite, or when samples have features of different widths.
    """
    pooled: dict[Modality, list[NDArray[np.float32]]] = {m: [] for m in pool_frames}
    dims: dict[Modality, int] = {}
    for start in range(0, len(sample_ids), CHUNK):
        ids = sample_ids[start : start + CHUNK]
        for modality, pool in pool_frames.items():
            for sample_id, frames in zip(ids, read(modality, ids), strict=True):
                if not np.isfinite(frames).all():
                    raise ModelError(
                        f"the {modality.word} features of sample {sample_id} hold NaN or infinity",
                        hint=f"choose another {modality.word} extractor under [features] and run "
                        "`annotate extract`",
                    )
                dim = dims.setdefault(modality, frames.shape[1])
                if frames.shape[1] != dim:
                    raise ModelError(
                        f"the {modality.word} features of sample {sample_id} have {frames.shape[1]} columns, "
                        f"those of others {dim}",
                        hint=f"delete the folder features/{modality.word} and run `annotate extract`",
                    )
                pooled[modality].append(pool(frames))
    return pooled


def make_inputs(
    pooled: PooledFrames,
    standardisers: Mapping[Modality, Standardiser],
    origins: Sequence[Origin] | None = None,
) -> Inputs:
    """Standardise and pad. A modality without a standardiser stays as it is; without origins, every sample is
    a video of its own.

    Raises `ModelError` when the features have another width than the standardiser.
    """
    padded = {m: _pad(samples, standardisers.get(m), m) for m, samples in pooled.items()}
    count = len(next(iter(pooled.values())))
    video: NDArray[np.int64] = np.arange(count)
    position = np.zeros(count, np.int64)
    if origins is not None:
        indices: dict[str, int] = {}
        video = np.array([indices.setdefault(origin.video, len(indices)) for origin in origins], np.int64)
        next_position = dict.fromkeys(indices.values(), 0)
        for i in sorted(range(count), key=lambda i: (video[i], origins[i].start_us)):
            position[i] = next_position[int(video[i])]
            next_position[int(video[i])] += 1
    return Inputs(
        {m.value: values for m, (values, _) in padded.items()},
        {m.value: mask for m, (_, mask) in padded.items()},
        torch.from_numpy(video),
        torch.from_numpy(position),
    )


def _pad(
    samples: Sequence[NDArray[np.float32]], standardiser: Standardiser | None, modality: Modality
) -> tuple[Tensor, Tensor]:
    width = samples[0].shape[1] if standardiser is None else len(standardiser.mean)
    longest = max((len(rows) for rows in samples), default=0)
    values = np.zeros((len(samples), max(longest, 1), width), np.float32)
    mask = np.zeros(values.shape[:2], bool)
    for i, rows in enumerate(samples):
        if rows.shape[1] != width:
            raise ModelError(
                f"the {modality.word} features have another width than those the model was trained with",
                hint="run `annotate train`",
            )
        values[i, : len(rows)] = rows if standardiser is None else standardiser.apply(rows)
        mask[i, : len(rows)] = True
    return torch.from_numpy(values), torch.from_numpy(mask)


def encode_labels(
    heads: Sequence[Head],
    sample_ids: Sequence[str],
    labels: Mapping[tuple[str, str], Label],
    targets: Mapping[str, Target],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Targets and masks by task id; `labels` by (sample id, task id)."""
    encoded: dict[str, Tensor] = {}
    known: dict[str, Tensor] = {}
    for head in heads:
        task_id = head.task.id
        stored = [labels.get((sample_id, task_id)) for sample_id in sample_ids]
        filler = [0.0] * head.width(head.task)
        rows = [filler if label is None else head.encode(label, targets[task_id]) for label in stored]
        known[task_id] = torch.tensor([label is not None for label in stored], dtype=torch.bool)
        encoded[task_id] = torch.tensor(np.array(rows, np.float32).reshape(len(stored), len(filler)))
    return encoded, known
