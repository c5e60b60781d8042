"""Corrections by hand: the samples that a later cut must keep, and the log of changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate.types import Corrected, Segment, Word
from db import models
from db.chunks import chunks
from db.models import BY_HAND, INACTIVE, SampleStatus

UNKNOWN_LANGUAGE = "und"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a new cut of a video must respect because of corrections by hand."""

    corrected: tuple[Corrected, ...]
    """Samples to be cut exactly as they are, ordered by start."""
    taken: tuple[tuple[int, int], ...]
    """(start, end) in microseconds of these and of all samples that they replaced; unordered, may overlap."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One change in the log, as it is shown to people."""

    at: datetime
    author: str
    sample_id: str
    field: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    reason: str


def kept(session: Session, sha256: str) -> Kept:
    """The corrected samples of a video that are in use, and the stretches where nothing else may be cut."""
    rows = {row.id: row for row in of_video(session, sha256)}
    pinned = [row for row in rows.values() if row.by_hand and row.status not in INACTIVE]
    if not pinned:
        return Kept((), ())
    replaced: set[str] = set()
    waiting = [str(name) for row in pinned for name in row.predecessors]
    while waiting:
        name = waiting.pop()
        if name in rows and name not in replaced:
            replaced.add(name)
            waiting += map(str, rows[name].predecessors)
    spoken = languages(session, [row.id for row in pinned])
    return Kept(
        tuple(
            Corrected(segment_of(row), row.transcript_origin == BY_HAND, spoken.get(row.id, ""))
            for row in sorted(pinned, key=lambda row: row.start_us)
        ),
        tuple((row.start_us, row.end_us) for row in [*pinned, *(rows[name] for name in replaced)]),
    )


def of_video(session: Session, sha256: str) -> list[models.Sample]:
    """Every sample of a video, retired ones too, ordered by start."""
    query = select(models.Sample).where(models.Sample.video_sha256 == sha256)
    return sorted(session.scalars(query), key=lambda row: (row.start_us, row.end_us, row.id))


def segment_of(row: models.Sample) -> Segment:
    """The segment of the video that the sample covers, with its stored text and words."""
    words = tuple(Word(*word) for word in row.words)
    named = row.speaker if row.speaker_origin not in ("", "voice") else ""
    return Segment(row.start_us, row.end_us, row.transcript, row.transcript_raw, named, words)


def languages(session: Session, sample_ids: Sequence[str]) -> dict[str, str]:
    """The detected language of each sample; samples without one are absent."""
    check = models.SampleCheck
    language_of: dict[str, str] = {}
    for chunk in chunks(sample_ids):
        query = select(check.sample_id, check.word).where(
            check.sample_id.in_(chunk), check.name == "language", check.word.not_in(("", UNKNOWN_LANGUAGE))
        )
        language_of.update((sample_id, word) for sample_id, word in session.execute(query))
    return language_of


def log(
    session: Session,
    sample_id: str,
    field: str,
    *,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    author: str,
    reason: str,
) -> None:
    """Add one change to the log."""
    session.add(
        models.Correction(
            author=author, sample_id=sample_id, field=field, old=dict(old), new=dict(new), reason=reason
        )
    )


def history(session: Session, sample_ids: Sequence[str]) -> list[LogEntry]:
    """The changes of these samples, oldest first."""
    row = models.Correction
    entries = [
        one
        for chunk in chunks(sample_ids)
        for one in session.scalars(select(row).where(row.sample_id.in_(chunk)))
    ]
    return [
        LogEntry(one.at, one.author, one.sample_id, one.field, one.old, one.new, one.reason)
        for one in sorted(entries, key=lambda one: one.id)
    ]


def spans_asked_for(session: Session, sample_id: str) -> set[tuple[int, int]]:
    """The requested (start, end) in microseconds of every cut of the sample by hand.

    The sample itself starts and ends at frames of its video, so its own times may differ slightly.
    """
    row = models.Correction
    logged = session.scalars(select(row.new).where(row.sample_id == sample_id, row.field == "cut"))
    return {tuple(values.get("asked_us", (values["start_us"], values["end_us"]))) for values in logged}


def latest_author(session: Session, sample_id: str) -> str:
    """The author of the sample's latest correction; empty without one."""
    row = models.Correction
    query = select(row.author).where(row.sample_id == sample_id).order_by(row.id.desc()).limit(1)
    return session.scalar(query) or ""


def retire(session: Session, sample_ids: Sequence[str]) -> None:
    """Retire samples that others replace."""
    for sample_id in sample_ids:
        session.get_one(models.Sample, sample_id).status = SampleStatus.RETIRED
    session.flush()
