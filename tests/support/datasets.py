"""A small finished dataset with media and features, for tests of what exporters write."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.types import (
    UNIMODAL,
    Answer,
    Dataset,
    DatasetRow,
    Dimension,
    Kind,
    Label,
    Modality,
    SampleMedia,
    Split,
    Task,
)  # fmt: skip
from tests.support.dimensions import classification

SENTIMENT = Dimension(
    "sentiment",
    Kind.REGRESSION,
    (Answer(-1.0, "negative"), Answer(0.0, "neutral"), Answer(1.0, "positive")),
)
EMOTION = classification("emotion", "happy", "sad")
TASKS = tuple(Task(SENTIMENT, modality) for modality in Modality)
DIMS = {Modality.TEXT: 4, Modality.AUDIO: 3, Modality.VISION: 2}
VALUES = (-1.0, -0.2, 0.0, 0.6)
"""Of the multimodal label, in turn."""


def make_features(modality: Modality) -> Callable[[str], NDArray[np.float32]]:
    """Two to five frames of numbers that depend on nothing but the sample and the modality."""

    def read(sample_id: str) -> NDArray[np.float32]:
        seed = int(hashlib.sha256(f"{sample_id}{modality}".encode()).hexdigest()[:8], 16)
        rng = np.random.default_rng(seed)
        return rng.normal(size=(2 + seed % 4, DIMS[modality])).astype(np.float32)

    return read


def make_row(media: Path, index: int, split: Split, tasks: tuple[Task, ...] = TASKS) -> DatasetRow:
    """The `index`-th utterance; its media files are made too."""
    sample = hashlib.sha256(f"{split}{index}".encode()).hexdigest()[:16]
    files = SampleMedia.under(media, sample)
    for path in (files.clip, files.audio, files.silent):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{path.name} of {sample}".encode())
    return DatasetRow(
        sample_id=sample,
        video_id=f"{split.value}_video",
        clip_id=f"{index + 1:04d}",
        text=f'你好, "{index}"',
        speaker=f"speaker of {split.value}",
        split=split,
        start_us=index * 2_000_000,
        end_us=index * 2_000_000 + 1_500_000,
        labels={task.id: make_label(sample, task, index) for task in tasks},
        media=files,
    )


def make_label(sample: str, task: Task, index: int) -> Label:
    """`VALUES` in turn for M, zero for the rest; the first answer of a classification.

    Of a multilabel task no answer, one, two and three in turn.
    """
    if task.dimension.kind is Kind.MULTILABEL:
        ticked = [a.alias for a in task.dimension.answers][: index % 4]
        shares = {a.alias: 0.6 if a.alias in ticked else 0.2 for a in task.dimension.answers}
        return Label(sample, task.id, task.dimension.joined(ticked), shares, raters=5)
    value: float | str = 0.0
    if task.dimension.kind is Kind.CLASSIFICATION:
        value = str(task.dimension.answers[0].value)
    elif task.modality is Modality.MULTIMODAL:
        value = VALUES[index % len(VALUES)]
    return Label(sample, task.id, value, {"1": 0.6, "-1": 0.4}, raters=5)


def make_dataset(
    media: Path,
    counts: Mapping[Split, int] = {Split.TRAIN: 4, Split.VALID: 2, Split.TEST: 3},
    tasks: tuple[Task, ...] = TASKS,
) -> Dataset:
    """So many samples per split, complete, with one sample said to be left out."""
    rows = [make_row(media, i, split, tasks) for split, n in counts.items() for i in range(n)]
    return Dataset(
        name="tiny",
        tasks=tasks,
        rows=sorted(rows, key=lambda row: (row.video_id, row.clip_id)),
        left_out={"not labelled": 1},
        features={m: make_features(m) for m in UNIMODAL},
        feature_names={m: f"fake-{m.word}@0123" for m in UNIMODAL},
    )
