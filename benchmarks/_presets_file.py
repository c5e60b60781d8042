"""The feature file that MMSA's networks and our presets learn from: written by our exporter, read back."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.learning.prepared import TrainingSet
from annotate.registry import EXPORTERS
from annotate.types import UNIMODAL, Dataset, DatasetRow, Modality, SampleMedia, Split
from benchmarks._generated import Plan, generate
from benchmarks._sets import Corpus, Labels, Rows, told

SHARES = {Split.TRAIN: 22, Split.VALID: 8, Split.TEST: 15}
"""Speakers."""


def read(content: Mapping[str, Any]) -> tuple[TrainingSet, list[str]]:
    """The file as our trainer takes it, and the ids of test. An id is a position in the whole file."""
    sizes = [len(content[split]["id"]) for split in ("train", "valid", "test")]
    ids = [f"{i:06d}" for i in range(sum(sizes))]
    labels: Labels = {}
    tasks = generate(Plan(samples=2, groups=1), np.random.default_rng(0)).tasks
    for task in tasks:
        ending = "" if task.modality is Modality.MULTIMODAL else f"_{task.modality.value}"
        found = [part[f"regression_labels{ending}"] for part in content.values()]
        labels |= told(task, np.concatenate(found).astype(float).tolist())
    frames = {m: [row for part in content.values() for row in unpadded(part, m)] for m in UNIMODAL}
    train, valid, test = np.split(np.array(ids), np.cumsum(sizes)[:2])
    return (
        TrainingSet(
            tasks, train.tolist(), valid.tolist(), labels,
            lambda m, wanted: [frames[m][int(i)] for i in wanted], {m: m.word for m in UNIMODAL},
        ),
        test.tolist(),
    )  # fmt: skip


def unpadded(part: Mapping[str, Any], modality: Modality) -> Rows:
    """The features of one split."""
    lengths = part[f"{modality.word}_lengths"]
    return [frames[:n] for frames, n in zip(part[modality.word], lengths, strict=True)]


def export(corpus: Corpus, folder: Path) -> Path:
    """Written by our own exporter."""
    dataset = Dataset(
        name=corpus.name,
        tasks=corpus.tasks,
        rows=rows(corpus, folder),
        left_out={},
        features={m: partial(frames_of, corpus, m) for m in UNIMODAL},
        feature_names={m: f"generated-{m.word}@0" for m in UNIMODAL},
    )
    return Path(EXPORTERS.get("mmsa")().write(dataset, folder)[0])


def frames_of(corpus: Corpus, modality: Modality, sample: str) -> NDArray[np.float32]:
    """(frames, dim) of one sample."""
    return corpus.features[modality][int(sample)]


def rows(corpus: Corpus, folder: Path) -> list[DatasetRow]:
    """Speakers divided over the splits in their order, which says nothing of the truth."""
    split_of = [split for split, n in SHARES.items() for _ in range(n)]
    speakers = np.unique(corpus.groups).tolist()
    return [
        DatasetRow(
            sample_id=name, video_id=str(corpus.videos[i]), clip_id=f"{i + 1:04d}", text="",
            speaker=str(corpus.groups[i]), split=split_of[speakers.index(corpus.groups[i])],
            start_us=int(corpus.starts[i]), end_us=int(corpus.starts[i]) + 1_000_000,
            labels={task.id: corpus.labels[name, task.id] for task in corpus.tasks},
            media=SampleMedia.under(folder, name),
        )
        for i, name in enumerate(corpus.ids())
    ]  # fmt: skip
