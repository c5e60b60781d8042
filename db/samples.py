"""Samples: stored once their media files are complete, and retired instead of deleted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from annotate.types import PreparedSample, Segment
from db import models
from db.checks import DECISION
from db.chunks import chunks, rows_of
from db.models import INACTIVE, SampleStatus


def ids_of_videos(session: Session, sha256s: Sequence[str]) -> list[tuple[str, str]]:
    """(video, sample id) of the samples neither retired nor removed; for at most a few hundred videos."""
    query = select(models.Sample.video_sha256, models.Sample.id).where(
        models.Sample.video_sha256.in_(sha256s), models.Sample.status.not_in(INACTIVE)
    )
    return [(sha256, sample_id) for sha256, sample_id in session.execute(query)]


def origins(session: Session, sample_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """(sha256 of the video, start in microseconds) of each sample; unknown samples are absent."""
    sample = models.Sample
    query = select(sample.id, sample.video_sha256, sample.start_us)
    return {row[0]: (row[1], row[2]) for row in rows_of(session, query, sample.id, sample_ids)}


def speakers_of(session: Session, sample_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """(sha256 of the video, speaker) of each sample; the speaker of the video where it has no own."""
    sample, video = models.Sample, models.Video
    query = select(sample.id, video.sha256, sample.speaker, video.speaker).join(
        video, video.sha256 == sample.video_sha256
    )
    rows = rows_of(session, query, sample.id, sample_ids)
    return {i: (sha256, own or speaker) for i, sha256, own, speaker in rows}


def media_hashes(session: Session, sample_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """The sha256 of each sample's files, by sample id and pass."""
    hashes: dict[str, dict[str, str]] = {}
    for chunk in chunks(sample_ids):
        query = select(models.Sample.id, models.Sample.media_sha256).where(models.Sample.id.in_(chunk))
        hashes |= {row.id: row.media_sha256 for row in session.execute(query)}
    return hashes


def put_samples(session: Session, video: models.Video, prepared: Sequence[PreparedSample]) -> list[str]:
    """Make `prepared` the samples of `video`: update known ones, and retire those that are no longer cut.

    All are active until their verdicts are stored. New ones have no split yet, because their speakers decide
    whether they may be in that of their video. Speakers from a table and corrections by hand stay, and
    corrected samples are never retired here. Returns the ids of the samples that were retired.
    """
    known = {
        sample.id: sample
        for sample in session.scalars(select(models.Sample).where(models.Sample.video_sha256 == video.sha256))
    }
    gone = sorted(known.keys() - {p.id for p in prepared})
    old = [known[sample_id] for sample_id in gone]
    retired = [row.id for row in old if row.status != SampleStatus.RETIRED and not row.by_hand]
    for sample_id in retired:
        known[sample_id].status = SampleStatus.RETIRED
    for p in prepared:
        row = known.get(p.id) or models.Sample(id=p.id, video_sha256=video.sha256)
        row.start_us, row.end_us = p.segment.start_us, p.segment.end_us
        if not p.keeps_text:
            row.transcript, row.transcript_origin = p.segment.text, p.transcript_origin
            row.transcript_raw = p.segment.raw
            row.words = words_of(p.segment)
        if row.speaker_origin not in ("table", models.BY_HAND) and not p.keeps_text:
            row.speaker, row.speaker_origin = p.speaker, p.speaker_origin
        row.sound_print = list(p.audio_fingerprint)
        row.status = SampleStatus.OK
        row.media_sha256 = dict(p.media_sha256)
        session.add(row)
    session.flush()
    return retired


def words_of(segment: Segment) -> list[list[str | int | bool]]:
    """The words of a segment in the form of the column `words`."""
    return [[word.text, word.start_us, word.end_us, word.guessed] for word in segment.words]


def judged_by_people(session: Session, sample_ids: Sequence[str]) -> int:
    """How many of those samples have an annotation."""
    answer, count = models.Annotation, 0
    for chunk in chunks(sample_ids):
        query = select(func.count(answer.sample_id.distinct())).where(answer.sample_id.in_(chunk))
        count += session.scalar(query) or 0
    return count


def ids_like(session: Session, prefix: str) -> list[str]:
    """Sorted ids that begin with `prefix`, retired samples included."""
    query = select(models.Sample.id).where(models.Sample.id.startswith(prefix, autoescape=True))
    return sorted(session.scalars(query))


def any_there(session: Session) -> bool:
    """Whether the project has any sample, whatever its status."""
    return session.scalar(select(models.Sample.id).limit(1)) is not None


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a table of samples."""

    id: str
    video: str
    """sha256"""
    video_name: str
    start_us: int
    end_us: int
    speaker: str
    """Speaker of the sample, or else of its video; empty if unknown."""
    transcript: str
    status: str
    split: str
    by_hand: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """Which samples to list; a field that is left out restricts nothing."""

    video: str | None = None
    """sha256"""
    statuses: Sequence[str] = ()
    by_hand: bool = False
    """Only samples corrected by hand."""
    check: str | None = None
    """Only samples that fail this check."""

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions of a query for `models.Sample`."""
        row, verdict = models.Sample, models.SampleCheck
        failed = select(verdict.sample_id).where(verdict.name == self.check, ~verdict.passed)
        conditions = (
            (self.video is not None, row.video_sha256 == self.video),
            (bool(self.statuses), row.status.in_(self.statuses)),
            (self.by_hand, row.by_hand.is_(True)),
            (self.check is not None, row.id.in_(failed)),
        )
        return [condition for asked, condition in conditions if asked]


def count_listed(session: Session, which: Filter) -> int:
    """How many samples `listed` returns without a limit."""
    return session.scalar(select(func.count()).select_from(models.Sample).where(*which.conditions())) or 0


def listed(session: Session, which: Filter, limit: int = 0) -> list[Listed]:
    """The first `limit` samples ordered by video name and time; all of them with 0."""
    row, sqlite = models.Sample, session.get_bind().dialect.name == "sqlite"
    # The same order in every database and locale.
    name = models.Video.name.collate("BINARY" if sqlite else "C")
    query = _listing().where(*which.conditions())
    query = query.order_by(name, row.video_sha256, row.start_us, row.end_us, row.id)
    return [_listed(r) for r in session.execute(query.limit(limit) if limit else query)]


def listed_by_id(session: Session, sample_ids: Sequence[str]) -> dict[str, Listed]:
    """The samples that the project has, by id, whatever their status."""
    return {
        r.id: _listed(r)
        for chunk in chunks(sample_ids)
        for r in session.execute(_listing().where(models.Sample.id.in_(chunk)))
    }


def _listing() -> Select[*tuple[Any, ...]]:
    row, film = models.Sample, models.Video
    return select(
        row.id, row.video_sha256, film.name, film.speaker, row.start_us, row.end_us, row.speaker,
        row.transcript, row.status, row.split, row.by_hand,
    ).join(film, film.sha256 == row.video_sha256)  # fmt: skip


def _listed(r: Any) -> Listed:
    return Listed(
        r.id, r.video_sha256, r.name, r.start_us, r.end_us,
        r[6] or ("" if r[3] == r.video_sha256 else r[3]),
        r.transcript, r.status, r.split or "", r.by_hand,
    )  # fmt: skip


def failures(session: Session, sample_ids: Sequence[str]) -> dict[str, str]:
    """The reasons of failed verdicts and of decisions by hand, joined by semicolons, by sample id."""
    check = models.SampleCheck
    reasons_of: dict[str, list[str]] = {}
    for chunk in chunks(sample_ids):
        query = select(check.sample_id, check.name, check.reason).where(
            check.sample_id.in_(chunk), (~check.passed) | (check.name == DECISION)
        )
        for sample_id, name, reason in session.execute(query.order_by(check.name)):
            reasons_of.setdefault(sample_id, []).append(f"{name}: {reason}")
    return {sample_id: "; ".join(reasons) for sample_id, reasons in reasons_of.items()}


def questions(session: Session, sample_id: str) -> list[models.Question]:
    """Every question about the sample, oldest first."""
    query = select(models.Question).where(models.Question.sample_id == sample_id)
    return list(session.scalars(query.order_by(models.Question.id)))


def labels(session: Session, sample_id: str) -> list[models.Label]:
    """Its labels, by task."""
    query = select(models.Label).where(models.Label.sample_id == sample_id)
    return sorted(session.scalars(query), key=lambda label: label.task_id)
