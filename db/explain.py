"""What is known of one video and of each of its samples, for people who ask why."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from db import models
from db.chunks import chunks

SHORTEST_PREFIX = 4
"""Digits of a sha256 that count as a name."""


@dataclass(frozen=True, slots=True)
class FoundVideo:
    """A video that a name fits."""

    sha256: str
    """Empty for a file that could not be read."""
    path: str
    """The first it was seen at, or its name when there is none any more."""


def find(session: Session, name: str, path: str) -> list[FoundVideo]:
    """Videos of that path, else of that file name (perhaps without ending), else beginning of a sha256."""
    file, video = models.VideoFile, models.Video
    here = session.get(file, path)
    if here is not None:
        return [FoundVideo(here.video_sha256 or "", here.path)]
    by_name = select(video.sha256).where(or_(video.name == name, video.sha256 == name.lower()))
    by_path = select(file.video_sha256).where(
        or_(file.path.endswith(f"/{name}", autoescape=True), file.path.contains(f"/{name}.", autoescape=True))
    )
    found = {s for query in (by_name, by_path) for s in session.scalars(query) if s}
    if not found and len(name) >= SHORTEST_PREFIX:
        prefix = video.sha256.startswith(name.lower(), autoescape=True)
        found = set(session.scalars(select(video.sha256).where(prefix)))
    return sorted((located(session, sha256) for sha256 in found), key=lambda one: (one.path, one.sha256))


def located(session: Session, sha256: str) -> FoundVideo:
    """The video of that content, with the first path it was seen at."""
    paths = session.scalars(select(models.VideoFile.path).where(models.VideoFile.video_sha256 == sha256))
    return FoundVideo(sha256, min(paths, default=session.get_one(models.Video, sha256).name))


def names(session: Session) -> list[str]:
    """The name of every video, sorted."""
    return sorted(session.scalars(select(models.Video.name).distinct()))


def unreadable(session: Session, path: str) -> str:
    """Why the file at `path` could not be read."""
    return session.get_one(models.VideoFile, path).reason


def samples(session: Session, sha256: str) -> list[models.Sample]:
    """Those of a video, in the order they were spoken, retired ones too."""
    query = select(models.Sample).where(models.Sample.video_sha256 == sha256)
    return sorted(session.scalars(query), key=lambda sample: (sample.start_us, sample.end_us))


def verdicts(session: Session, sample_ids: Sequence[str]) -> dict[str, list[models.SampleCheck]]:
    """What was measured on those samples, and what was said of it: by sample, sorted by check."""
    found: dict[str, list[models.SampleCheck]] = {sample_id: [] for sample_id in sample_ids}
    for chunk in chunks(sample_ids):
        rows = session.scalars(select(models.SampleCheck).where(models.SampleCheck.sample_id.in_(chunk)))
        for row in rows:
            found[row.sample_id].append(row)
    return {sample_id: sorted(rows, key=lambda row: row.name) for sample_id, rows in found.items()}
