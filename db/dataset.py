"""What a dataset is built from, and the record that one was written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate.types import GUESSED, Label
from db import models
from db.labels import read_labels


@dataclass(frozen=True, slots=True)
class DatasetSample:
    """One sample, with what its video says about it."""

    sample_id: str
    video_sha256: str
    speaker: str
    """Of the whole video; a sha256 when nobody named one."""
    talks: str
    """Who talks in this sample; empty when that is not known apart from its video."""
    guessed: bool
    """Nobody named who `talks`: it was told by ear."""
    split: str | None
    start_us: int
    end_us: int
    transcript: str
    rejected: bool = False
    """A rule keeps it out for now; it still has its number in its video."""


def dataset_samples(session: Session) -> list[DatasetSample]:
    """Every sample but retired and removed ones, video by video, in the order they were spoken."""
    sample, video = models.Sample, models.Video
    # More columns than the types of a row can tell.
    rows: Iterable[Sequence[Any]] = session.execute(
        select(
            sample.id, sample.video_sha256, video.speaker,
            sample.speaker, sample.speaker_origin == GUESSED, sample.split,
            sample.start_us, sample.end_us, sample.transcript,
            (sample.status == models.SampleStatus.REJECTED).label("rejected"),
        )
        .join(video, video.sha256 == sample.video_sha256)
        .where(sample.status.not_in(models.INACTIVE))
        .order_by(sample.video_sha256, sample.start_us, sample.end_us, sample.id)
    )  # fmt: skip
    return [DatasetSample(*row) for row in rows]


def video_names(session: Session) -> dict[str, str]:
    """The file name of every video, by sha256, whatever became of it: a name stays taken."""
    rows = session.execute(select(models.Video.sha256, models.Video.name))
    return {sha256: name for sha256, name in rows}  # noqa: C416  (a Row is no pair to the type checker)


def human_labels(session: Session) -> dict[str, dict[str, Label]]:
    """What people agreed on, by sample id and task id."""
    found: dict[str, dict[str, Label]] = {}
    for label in read_labels(session):
        found.setdefault(label.sample_id, {})[label.task_id] = label
    return found


def imported_tasks(session: Session) -> dict[str, frozenset[str]]:
    """By sample: ids of the tasks that somebody's imported answer is about."""
    row = models.Annotation
    query = (
        select(row.sample_id, row.task_id)
        .where(row.origin.startswith("import:"), row.state == models.AnnotationState.ANSWERED)
        .distinct()
    )
    found: dict[str, set[str]] = {}
    for sample_id, task_id in session.execute(query):
        found.setdefault(sample_id, set()).add(task_id)
    return {sample_id: frozenset(tasks) for sample_id, tasks in found.items()}


def record_export(
    session: Session, *, format: str, path: str, manifest_sha256: str, samples: int, detail: Mapping[str, Any]
) -> None:
    """Remember a dataset that lies finished at `path`."""
    session.add(models.Export(format=format, path=path, manifest_sha256=manifest_sha256, samples=samples))
    payload = {"format": format, "path": path, "manifest_sha256": manifest_sha256, **detail}
    session.add(models.Event(kind="export", payload=payload))
