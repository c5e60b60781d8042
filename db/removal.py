"""Removes and restores videos: a removed video is not used, and loses no data."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db import models
from db.checks import restate
from db.chunks import chunks
from db.models import INACTIVE, SampleStatus, now


@dataclass(frozen=True, slots=True)
class Holding:
    """Counts of what belongs to some videos."""

    samples: int
    """Samples that are neither retired nor removed, and removed ones."""
    labels: int
    answers: int
    """Rows of `annotation`."""


def removed(session: Session, sha256s: Sequence[str]) -> set[str]:
    """Sha256 of the videos that are removed."""
    video = models.Video
    sha256s_removed: set[str] = set()
    for chunk in chunks(sha256s):
        query = select(video.sha256).where(video.sha256.in_(chunk), video.removed_at.is_not(None))
        sha256s_removed.update(session.scalars(query))
    return sha256s_removed


def remove(session: Session, sha256s: Sequence[str]) -> list[str]:
    """Mark the videos and their samples as removed; returns the sorted ids of those samples."""
    moment = now()
    for chunk in chunks(sha256s):
        session.execute(update(models.Video).where(models.Video.sha256.in_(chunk)).values(removed_at=moment))
    ids = _sample_ids(session, sha256s, removed=False)
    _set_status(session, ids, SampleStatus.REMOVED)
    return ids


def restore(session: Session, sha256s: Sequence[str]) -> list[str]:
    """Restore removed videos; their checks decide which samples are used. Returns the sorted sample ids."""
    for chunk in chunks(sha256s):
        session.execute(update(models.Video).where(models.Video.sha256.in_(chunk)).values(removed_at=None))
    ids = _sample_ids(session, sha256s, removed=True)
    _set_status(session, ids, SampleStatus.OK)
    for chunk in chunks(ids):
        restate(session, chunk)
    return ids


def keep_removed(session: Session) -> None:
    """Mark every sample of a removed video as removed, whatever an ingest wrote meanwhile."""
    sample, video = models.Sample, models.Video
    of_removed = select(video.sha256).where(video.removed_at.is_not(None))
    query = select(sample.id).where(sample.video_sha256.in_(of_removed), sample.status.not_in(INACTIVE))
    _set_status(session, sorted(session.scalars(query)), SampleStatus.REMOVED)


def holding(session: Session, sha256s: Sequence[str]) -> Holding:
    """Counts of samples, labels and answers of the videos, without retired samples."""
    ids = [*_sample_ids(session, sha256s, removed=False), *_sample_ids(session, sha256s, removed=True)]
    labels = answers = 0
    for chunk in chunks(ids):
        for model in (models.Label, models.Annotation):
            count = session.scalar(select(func.count()).where(model.sample_id.in_(chunk))) or 0
            labels, answers = (
                (labels + count, answers) if model is models.Label else (labels, answers + count)
            )
    return Holding(len(ids), labels, answers)


def _sample_ids(session: Session, sha256s: Sequence[str], *, removed: bool) -> list[str]:
    """Sorted ids of the removed samples of the videos, or of those neither removed nor retired."""
    sample = models.Sample
    state = sample.status == SampleStatus.REMOVED if removed else sample.status.not_in(INACTIVE)
    ids: list[str] = []
    for chunk in chunks(sha256s):
        ids += session.scalars(select(sample.id).where(sample.video_sha256.in_(chunk), state))
    return sorted(ids)


def _set_status(session: Session, sample_ids: Sequence[str], status: SampleStatus) -> None:
    for chunk in chunks(sample_ids):
        session.execute(
            update(models.Sample)
            .where(models.Sample.id.in_(chunk))
            .values(status=status)
            .execution_options(synchronize_session=False)
        )
    session.expire_all()
