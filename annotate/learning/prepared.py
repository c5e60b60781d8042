"""The samples, labels and features of one training, read once and kept as tensors on the device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from annotate.errors import ModelError
from annotate.learning.batches import (
    Batch,
    Condense,
    FeatureReader,
    Origin,
    Origins,
    Standardiser,
    encode_labels,
    make_inputs,
    read_condensed,
)
from annotate.learning.device import repeatable
from annotate.learning.encoders._tokens import require_readable
from annotate.learning.encoders.base import Encoder
from annotate.learning.heads.base import Head, Target
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet, bare_heads, encoder_class
from annotate.learning.requirements import FEWEST_VALID
from annotate.learning.resume import Checkpointer
from annotate.learning.sample_weights import Weigher, label_weights
from annotate.types import UNIMODAL, Label, Modality, Task


def alone(sample_ids: Sequence[str]) -> list[Origin]:
    """Origins for those who know none: every sample is a video and a group of its own."""
    return [Origin(sample_id, 0, sample_id) for sample_id in sample_ids]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What one model is fitted to: samples with at least one label each, ordered by id."""

    tasks: tuple[Task, ...]
    """Those that get a head."""
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

    recipe: ModelConfig
    tasks: tuple[Task, ...]
    heads: tuple[Head, ...]
    widths: Mapping[Modality, int]
    standardisers: Mapping[Modality, Standardiser]
    targets: Mapping[str, Target]
    train: Batch
    valid: Batch | None
    groups: NDArray[np.intp]
    """(n,) numbers of the train samples' groups."""
    device: str
    checkpointer: Checkpointer | None = None
    cache_graphs: bool = False
    """As in `annotate.learning.train_step.TrainStep`."""

    def network(self, seed: int) -> MultiTaskNet:
        """A new one; `seed` decides its first weights."""
        with repeatable(seed, self.device):
            net = MultiTaskNet(self.widths, self.tasks, self.recipe)
        for task in self.tasks:
            known = self.train.known[task.id].cpu()
            labels, weights = (
                part[task.id].cpu()[known] for part in (self.train.targets, self.train.weights)
            )
            net.head(task).start(labels, weights)
        return net


def prepare(training_set: TrainingSet, recipe: ModelConfig, device: str) -> Prepared:
    """Read, condense, standardise and encode; with fewer than `FEWEST_VALID` valid samples there are none.

    Raises `ModelError` for a task of a modality without features, and for features that cannot be used.
    """
    _require_features(training_set)
    classes = _encoder_classes(training_set, recipe)
    condense: dict[Modality, Condense] = {m: cls.condense for m, cls in classes.items()}
    train = read_condensed(training_set.read, condense, training_set.train)
    standardisers = {m: Standardiser.fit(rows) for m, rows in train.items() if not classes[m].reads_tokens}
    heads = bare_heads(training_set.tasks, recipe)
    labels = {t.id: _train_labels(training_set, t) for t in training_set.tasks}
    targets = {t.id: Target.fit(t, labels[t.id]) for t in training_set.tasks}
    weighers = [Weigher.fit(t, recipe.balance, labels[t.id]) for t in training_set.tasks]

    def batch(ids: Sequence[str], condensed: Mapping[Modality, list[NDArray[np.float32]]]) -> Batch:
        origins = training_set.origins(ids)
        inputs = make_inputs(condensed, standardisers, origins)
        encoded, known = encode_labels(heads, ids, training_set.labels, targets)
        groups = [origin.group for origin in origins]
        weights = label_weights(weighers, ids, training_set.labels, groups)
        counts = {task_id: torch.from_numpy(values) for task_id, values in weights.items()}
        return Batch(inputs, encoded, known, counts).to(device)

    watched = None
    if len(training_set.valid) >= FEWEST_VALID:
        watched = batch(training_set.valid, read_condensed(training_set.read, condense, training_set.valid))
    groups = np.unique([p.group for p in training_set.origins(training_set.train)], return_inverse=True)[1]
    return Prepared(
        recipe=recipe,
        tasks=training_set.tasks,
        heads=heads,
        widths={m: rows[0].shape[1] for m, rows in train.items()},
        standardisers=standardisers,
        targets=targets,
        train=batch(training_set.train, train),
        valid=watched,
        groups=groups,
        device=device,
    )


def _encoder_classes(training_set: TrainingSet, recipe: ModelConfig) -> dict[Modality, type[Encoder]]:
    """By modality; each can read its features."""
    classes = {m: encoder_class(m, recipe) for m in training_set.extractors}
    for m, extractor in training_set.extractors.items():
        require_readable(classes[m], m, extractor)
    return classes


def _require_features(training_set: TrainingSet) -> None:
    there = training_set.extractors
    for task in training_set.tasks:
        needed = UNIMODAL if task.modality is Modality.MULTIMODAL else (task.modality,)
        if not any(m in there for m in needed):
            word = "" if task.modality is Modality.MULTIMODAL else f"{task.modality.word} "
            named = " or ".join(f"[features] {m.word}" for m in needed)
            raise ModelError(
                f"{task.id} cannot be learned: there are no {word}features",
                hint=f"set {named} and run `annotate extract`, or leave {task.modality} out of the passes",
            )


def _train_labels(training_set: TrainingSet, task: Task) -> list[Label]:
    return [
        training_set.labels[sample_id, task.id]
        for sample_id in training_set.train
        if (sample_id, task.id) in training_set.labels
    ]
