"""The samples and labels that a dataset is built from, and the record of exports."""

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
    """One sample with the facts of its video."""

    sample_id: str
    video_sha256: str
    speaker: str
    """Speaker of the whole video; a sha256 when nobody named one."""
    sample_speaker: str
    """Speaker of this sample; empty when only that of the video is known."""
    guessed: bool
    """Whether `sample_speaker` comes from diarization instead of a transcript, a table or a person."""
    split: str | None
    start_us: int
    end_us: int
    transcript: str
    rejected: bool = False
    """Whether a rule rejects it at present; it keeps its number in its video."""


def dataset_samples(session: Session) -> list[DatasetSample]:
    """Every sample that is neither retired nor removed, ordered by video and time."""
    sample, video = models.Sample, models.Video
    # SQLAlchemy types rows of up to ten columns only.
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
    """The file name of every video by sha256, whatever its status: a name stays taken."""
    rows = session.execute(select(models.Video.sha256, models.Video.name))
    return {sha256: name for sha256, name in rows}  # noqa: C416  (a Row is no pair to the type checker)


def human_labels(session: Session) -> dict[str, dict[str, Label]]:
    """The human labels, by sample id and task id."""
    labels: dict[str, dict[str, Label]] = {}
    for label in read_labels(session):
        labels.setdefault(label.sample_id, {})[label.task_id] = label
    return labels


def imported_tasks(session: Session) -> dict[str, frozenset[str]]:
    """Ids of the tasks with an imported answer, by sample id."""
    row = models.Annotation
    query = (
        select(row.sample_id, row.task_id)
        .where(row.origin.startswith("import:"), row.state == models.AnnotationState.ANSWERED)
        .distinct()
    )
    task_ids: dict[str, set[str]] = {}
    for sample_id, task_id in session.execute(query):
        task_ids.setdefault(sample_id, set()).add(task_id)
    return {sample_id: frozenset(tasks) for sample_id, tasks in task_ids.items()}


def record_export(
    session: Session, *, format: str, path: str, manifest_sha256: str, samples: int, detail: Mapping[str, Any]
) -> None:
    """Record a finished dataset at `path`."""
    session.add(models.Export(format=format, path=path, manifest_sha256=manifest_sha256, samples=samples))
    payload = {"format": format, "path": path, "manifest_sha256": manifest_sha256, **detail}
    session.add(models.Event(kind="export", payload=payload))
