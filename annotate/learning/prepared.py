"""The samples, labels and features of one training, read once and kept as tensors on the device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from annotate.errors import ModelError
from annotate.learning.batches import (
    Batch,
    FeatureReader,
    Origin,
    Origins,
    PoolFrames,
    Standardiser,
    encode_labels,
    make_inputs,
    read_pooled,
)
from annotate.learning.device import repeatable
from annotate.learning.encoders._tokens import require_readable
from annotate.learning.heads.base import Head, Target
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet, bare_heads, encoder_class
from annotate.learning.requirements import FEWEST_VALID
from annotate.learning.resume import Checkpointer
from annotate.learning.sample_weights import Weigher, label_weights
from annotate.types import UNIMODAL, Label, Modality, Task


def alone(sample_ids: Sequence[str]) -> list[Origin]:
    """Default origins: every sample is a video and a group of its own."""
    return [Origin(sample_id, 0, sample_id) for sample_id in sample_ids]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What one model is fitted to: samples with at least one label each, ordered by id."""

    tasks: tuple[Task, ...]
    """The tasks that get a head."""
    train: Sequence[str]
    valid: Sequence[str]
    labels: Mapping[tuple[str, str], Label]
    """By (sample id, task id)."""
    read: FeatureReader
    extractors: Mapping[Modality, str]
    """Features by modality: ``extractor@hash``."""
    origins: Origins = alone


@dataclass(frozen=True)
class Prepared:
    """A training set as tensors on the device."""

    config: ModelConfig
    tasks: tuple[Task, ...]
    heads: tuple[Head, ...]
    widths: Mapping[Modality, int]
    standardisers: Mapping[Modality, Standardiser]
    targets: Mapping[str, Target]
    train: Batch
    valid: Batch | None
    groups: NDArray[np.intp]
    """(n,) index of the group of each train sample."""
    device: str
    checkpointer: Checkpointer | None = None
    cache_graphs: bool = False
    """As in `annotate.learning.train_step.TrainStep`."""

    def network(self, seed: int) -> MultiTaskNet:
        """A new network; `seed` decides its initial weights."""
        with repeatable(seed, self.device):
            net = MultiTaskNet(self.widths, self.tasks, self.config)
        for task in self.tasks:
            known = self.train.known[task.id].cpu()
            labels, weights = (
                part[task.id].cpu()[known] for part in (self.train.targets, self.train.weights)
            )
            net.head(task).start(labels, weights)
        return net


def prepare(training_set: TrainingSet, config: ModelConfig, device: str) -> Prepared:
    """Read, pool, standardise and encode; fewer than `FEWEST_VALID` valid samples are not used.

    Raises `ModelError` for a task of a modality without features, and for features that cannot be used.
    """
    _require_features(training_set)
    classes = {m: encoder_class(m, config) for m in training_set.extractors}
    for m, extractor in training_set.extractors.items():
        require_readable(classes[m], m, extractor)
    pool_frames: dict[Modality, PoolFrames] = {m: cls.pool_frames for m, cls in classes.items()}
    train = read_pooled(training_set.read, pool_frames, training_set.train)
    standardisers = {m: Standardiser.fit(rows) for m, rows in train.items() if not classes[m].reads_tokens}
    heads = bare_heads(training_set.tasks, config)
    labels = {
        task.id: [
            training_set.labels[sample_id, task.id]
            for sample_id in training_set.train
            if (sample_id, task.id) in training_set.labels
        ]
        for task in training_set.tasks
    }
    targets = {t.id: Target.fit(t, labels[t.id]) for t in training_set.tasks}
    weighers = [Weigher.fit(t, config.balance, labels[t.id]) for t in training_set.tasks]

    def batch(ids: Sequence[str], pooled: Mapping[Modality, list[NDArray[np.float32]]]) -> Batch:
        origins = training_set.origins(ids)
        inputs = make_inputs(pooled, standardisers, origins)
        encoded, known = encode_labels(heads, ids, training_set.labels, targets)
        groups = [origin.group for origin in origins]
        weights = label_weights(weighers, ids, training_set.labels, groups)
        counts = {task_id: torch.from_numpy(values) for task_id, values in weights.items()}
        return Batch(inputs, encoded, known, counts).to(device)

    valid = None
    if len(training_set.valid) >= FEWEST_VALID:
        valid = batch(training_set.valid, read_pooled(training_set.read, pool_frames, training_set.valid))
    groups = np.unique([p.group for p in training_set.origins(training_set.train)], return_inverse=True)[1]
    return Prepared(
        config=config,
        tasks=training_set.tasks,
        heads=heads,
        widths={m: rows[0].shape[1] for m, rows in train.items()},
        standardisers=standardisers,
        targets=targets,
        train=batch(training_set.train, train),
        valid=valid,
        groups=groups,
        device=device,
    )


def _require_features(training_set: TrainingSet) -> None:
    extractors = training_set.extractors
    for task in training_set.tasks:
        needed = UNIMODAL if task.modality is Modality.MULTIMODAL else (task.modality,)
        if not any(m in extractors for m in needed):
            word = "" if task.modality is Modality.MULTIMODAL else f"{task.modality.word} "
            named = " or ".join(f"[features] {m.word}" for m in needed)
            raise ModelError(
                f"{task.id} cannot be learned: there are no {word}features",
                hint=f"set {named} and run `annotate extract`, or leave {task.modality} out of the passes",
            )
