"""What the model may learn from right now, and a hash that changes whenever that does."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annotate.corpus.features import feature_names, outdated, read_features
from annotate.errors import FeatureError
from annotate.learning.requirements import missing_labels
from annotate.project import Project
from annotate.types import UNIMODAL, Kind, Label, Modality, Split, Task
from db.batches import audit_sample_ids
from db.engine import reading
from db.features import input_hashes
from db.rounds import labels_by_split

if TYPE_CHECKING:
    from annotate.learning.batches import FeatureReader

GENERATION = 4
"""Raised by hand whenever the code would make another model of the same labels and settings."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a model may learn from: labels by split; audit samples teach nothing and are not among them."""

    tasks: tuple[Task, ...]
    """Every task of the project."""
    labels: Mapping[Split, Mapping[tuple[str, str], Label]]
    """By split: by (sample id, task id), ordered."""
    extractors: Mapping[Modality, str]
    without_features: int
    """Labelled samples that are left out because features are missing."""
    hash: str
    """Over everything that decides the model except the device."""
    data_hash: str
    """Over the features and labels of train and valid alone, whatever the settings."""
    features: str
    """Over the features of every labelled sample."""

    def of_task(self, task: Task, split: Split) -> list[Label]:
        """The labels of one task, ordered by sample id."""
        return [label for label in self.labels[split].values() if label.task_id == task.id]

    def trainable(self) -> tuple[Task, ...]:
        """The tasks that get a head."""
        return tuple(t for t in self.tasks if self.missing(t) == "")

    def missing(self, task: Task) -> str:
        """What a head of `task` still needs; empty when nothing."""
        return missing_labels(task, self.of_task(task, Split.TRAIN))

    def sample_ids(self, split: Split, tasks: Sequence[Task]) -> list[str]:
        """Samples with a label of one of `tasks`, ordered."""
        wanted = {task.id for task in tasks}
        return sorted({sample_id for sample_id, task_id in self.labels[split] if task_id in wanted})

    def counts(self) -> dict[str, dict[str, int]]:
        """Labels by task id and split."""
        counters = {split: Counter(task_id for _, task_id in labels) for split, labels in self.labels.items()}
        return {t.id: {split.value: counters[split][t.id] for split in Split} for t in self.tasks}


def read_training_data(project: Project, *, seed: int) -> TrainingData:
    """Read the labels whose task and answer `annotate.toml` still knows, of samples with features.

    Raises `FeatureError` when there are labels but not one labelled sample has features.
    """
    names = feature_names(project)
    extractors = {m: names[m] for m in UNIMODAL}
    with reading(project.engine) as session:
        audit = audit_sample_ids(session)
        inputs = {name: input_hashes(session, name) for name in extractors.values()}
        rows = labels_by_split(session)
    tasks = project.settings.tasks()
    usable = [
        (split, label) for split, label in rows if label.sample_id not in audit and _known(tasks, label)
    ]
    labels: dict[Split, dict[tuple[str, str], Label]] = {split: {} for split in Split}
    without: set[str] = set()
    for split, label in usable:
        if all(label.sample_id in known for known in inputs.values()):
            labels[split][label.sample_id, label.task_id] = label
        else:
            without.add(label.sample_id)
    if without and not any(labels.values()):
        raise FeatureError(
            f"no labelled sample has features{outdated(project)}", hint="run `annotate extract`"
        )
    return TrainingData(
        tasks, labels, extractors, len(without),
        hash=_hash(_content(tasks, labels, inputs, Split), seed, project.settings.train.network_options()),
        data_hash=_hash(_content(tasks, labels, inputs, (Split.TRAIN, Split.VALID))),
        features=_hash(*_inputs(inputs, {i for of_split in labels.values() for i, _ in of_split})),
    )  # fmt: skip


def reader(project: Project) -> "FeatureReader":
    """Reads the features of the present settings."""
    return lambda modality, sample_ids: read_features(project, modality, sample_ids)


def _known(tasks: Sequence[Task], label: Label) -> bool:
    task = next((task for task in tasks if task.id == label.task_id), None)
    if task is None:
        return False
    if task.dimension.kind is Kind.REGRESSION:
        return not isinstance(label.value, str)
    return isinstance(label.value, str) and task.dimension.takes(label.value)


def _content(
    tasks: Sequence[Task],
    labels: Mapping[Split, Mapping[tuple[str, str], Label]],
    inputs: Mapping[str, Mapping[str, str]],
    splits: Iterable[Split],
) -> list[Any]:
    """What is learned from; `inputs` tells by extractor what the features of each sample were made from."""
    chosen = [(split, labels[split]) for split in splits]
    sample_ids = {sample_id for _, labels_of_split in chosen for sample_id, _ in labels_of_split}
    return [
        [[t.id, t.dimension.kind, [a.value for a in t.dimension.answers]] for t in tasks],
        list(inputs),
        _inputs(inputs, sample_ids),
        [
            [split, sample_id, task_id, label.value, dict(label.distribution), label.raters]
            for split, labels_of_split in chosen
            for (sample_id, task_id), label in labels_of_split.items()
        ],
    ]


def _inputs(inputs: Mapping[str, Mapping[str, str]], sample_ids: Iterable[str]) -> list[list[str]]:
    """What the features of each of those samples were made from, ordered."""
    return [[known[sample_id] for known in inputs.values()] for sample_id in sorted(sample_ids)]


def _hash(*content: Any) -> str:
    return hashlib.sha256(json.dumps([GENERATION, *content], sort_keys=True).encode()).hexdigest()
