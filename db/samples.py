"""Samples: written once their media lies finished, retired instead of deleted."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from annotate.types import PreparedSample
from db import models
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


def talkers(session: Session, sample_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
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
    whether they may be in that of their video. A speaker that a table told stays. Returns the ids of those
    that were retired now.
    """
    known = {
        sample.id: sample
        for sample in session.scalars(select(models.Sample).where(models.Sample.video_sha256 == video.sha256))
    }
    gone = sorted(known.keys() - {p.id for p in prepared})
    retired = [sample_id for sample_id in gone if known[sample_id].status != SampleStatus.RETIRED]
    for sample_id in retired:
        known[sample_id].status = SampleStatus.RETIRED
    for p in prepared:
        row = known.get(p.id) or models.Sample(id=p.id, video_sha256=video.sha256)
        row.start_us, row.end_us = p.segment.start_us, p.segment.end_us
        row.transcript, row.transcript_origin = p.segment.text, p.transcript_origin
        row.transcript_raw = p.segment.raw
        row.words = [[w.text, w.start_us, w.end_us, w.guessed] for w in p.segment.words]
        if row.speaker_origin != "table":
            row.speaker, row.speaker_origin = p.speaker, p.speaker_origin
        row.sound_print = list(p.sound_print)
        row.status = SampleStatus.OK
        row.media_sha256 = dict(p.media_sha256)
        session.add(row)
    session.flush()
    return retired


def judged_by_people(session: Session, sample_ids: Sequence[str]) -> int:
    """How many of those samples somebody has answered a question about."""
    answer, found = models.Annotation, 0
    for chunk in chunks(sample_ids):
        query = select(func.count(answer.sample_id.distinct())).where(answer.sample_id.in_(chunk))
        found += session.scalar(query) or 0
    return found
