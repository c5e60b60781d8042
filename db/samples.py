"""Samples: written once their media lies finished, retired instead of deleted."""

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
    """(video, sample id) of their samples that are not retired or removed; at most a few hundred videos."""
    query = select(models.Sample.video_sha256, models.Sample.id).where(
        models.Sample.video_sha256.in_(sha256s), models.Sample.status.not_in(INACTIVE)
    )
    return [(sha256, sample_id) for sha256, sample_id in session.execute(query)]


def origins(session: Session, sample_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """(video's sha256, start in microseconds) of each sample; those that do not exist are absent."""
    sample = models.Sample
    query = select(sample.id, sample.video_sha256, sample.start_us)
    return {row[0]: (row[1], row[2]) for row in rows_of(session, query, sample.id, sample_ids)}


def speakers_of(session: Session, sample_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """(video's sha256, speaker) of each sample; that of its video where nobody said more."""
    sample, video = models.Sample, models.Video
    query = select(sample.id, video.sha256, sample.speaker, video.speaker).join(
        video, video.sha256 == sample.video_sha256
    )
    found = rows_of(session, query, sample.id, sample_ids)
    return {i: (sha256, own or speaker) for i, sha256, own, speaker in found}


def media_hashes(session: Session, sample_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """By sample id: the sha256 of its files, by pass."""
    found: dict[str, dict[str, str]] = {}
    for chunk in chunks(sample_ids):
        query = select(models.Sample.id, models.Sample.media_sha256).where(models.Sample.id.in_(chunk))
        found |= {row.id: row.media_sha256 for row in session.execute(query)}
    return found


def put_samples(session: Session, video: models.Video, prepared: Sequence[PreparedSample]) -> list[str]:
    """Make `prepared` the samples of `video`: known ones are updated, those no longer cut are retired.

    All take part until their verdicts are stored. New ones have no split yet: who talks in them decides
    whether they may be in that of their video. A speaker that a table told stays, and so does everything that
    somebody corrected by hand: such samples are never retired here. Returns the ids of those that were
    retired now.
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
    """The words of a segment as the column `words` keeps them."""
    return [[word.text, word.start_us, word.end_us, word.guessed] for word in segment.words]


def judged_by_people(session: Session, sample_ids: Sequence[str]) -> int:
    """How many of those samples somebody has answered a question about."""
    answer, found = models.Annotation, 0
    for chunk in chunks(sample_ids):
        query = select(func.count(answer.sample_id.distinct())).where(answer.sample_id.in_(chunk))
        found += session.scalar(query) or 0
    return found


def ids_like(session: Session, prefix: str) -> list[str]:
    """Ids that begin so, retired samples included, sorted."""
    query = select(models.Sample.id).where(models.Sample.id.startswith(prefix, autoescape=True))
    return sorted(session.scalars(query))


def any_there(session: Session) -> bool:
    """Whether the project has a sample, whatever its state."""
    return session.scalar(select(models.Sample.id).limit(1)) is not None


@dataclass(frozen=True, slots=True)
class Listed:
    """One sample, as a table of samples shows it."""

    id: str
    video: str
    """sha256"""
    video_name: str
    start_us: int
    end_us: int
    speaker: str
    """Of the sample, or else of its video; empty where nobody named or guessed one."""
    transcript: str
    status: str
    split: str
    by_hand: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """Which samples to list; what is left out restricts nothing."""

    video: str | None = None
    """sha256"""
    statuses: Sequence[str] = ()
    by_hand: bool = False
    """Only those that somebody corrected."""
    check: str | None = None
    """Only those with a failed verdict of this check."""

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a query for `models.Sample` has to fulfil."""
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
    """How many samples `listed` gives without a limit."""
    return session.scalar(select(func.count()).select_from(models.Sample).where(*which.conditions())) or 0


def listed(session: Session, which: Filter, limit: int = 0) -> list[Listed]:
    """The samples in the order of video name and time, the first `limit` of them; 0: all."""
    row, sqlite = models.Sample, session.get_bind().dialect.name == "sqlite"
    # The same order in every database and locale.
    name = models.Video.name.collate("BINARY" if sqlite else "C")
    query = _listing().where(*which.conditions())
    query = query.order_by(name, row.video_sha256, row.start_us, row.end_us, row.id)
    return [_listed(r) for r in session.execute(query.limit(limit) if limit else query)]


def listed_by_id(session: Session, sample_ids: Sequence[str]) -> dict[str, Listed]:
    """Those of the samples that the project has, in whatever state."""
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
    """By sample: the reasons of its failed verdicts, and of a decision by hand, joined by semicolons."""
    check = models.SampleCheck
    found: dict[str, list[str]] = {}
    for chunk in chunks(sample_ids):
        query = select(check.sample_id, check.name, check.reason).where(
            check.sample_id.in_(chunk), (~check.passed) | (check.name == DECISION)
        )
        for sample_id, name, reason in session.execute(query.order_by(check.name)):
            found.setdefault(sample_id, []).append(f"{name}: {reason}")
    return {sample_id: "; ".join(reasons) for sample_id, reasons in found.items()}


def questions(session: Session, sample_id: str) -> list[models.Question]:
    """Every question about the sample, oldest first."""
    query = select(models.Question).where(models.Question.sample_id == sample_id)
    return list(session.scalars(query.order_by(models.Question.id)))


def labels(session: Session, sample_id: str) -> list[models.Label]:
    """Its labels, by task."""
    query = select(models.Label).where(models.Label.sample_id == sample_id)
    return sorted(session.scalars(query), key=lambda label: label.task_id)
