"""Looks up a video by name, and its samples with their verdicts, for `annotate explain`."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from db import models
from db.chunks import chunks

SHORTEST_PREFIX = 4
"""Shortest prefix of a sha256 that is accepted as a name."""


@dataclass(frozen=True, slots=True)
class FoundVideo:
    """A video that matches a name."""

    sha256: str
    """Empty for a file that could not be read."""
    path: str
    """The first path it was seen at, or its name when there is none any more."""


def find(session: Session, name: str, path: str) -> list[FoundVideo]:
    """Videos by path, else by file name with or without suffix, else by prefix of the sha256."""
    file, video = models.VideoFile, models.Video
    here = session.get(file, path)
    if here is not None:
        return [FoundVideo(here.video_sha256 or "", here.path)]
    by_name = select(video.sha256).where(or_(video.name == name, video.sha256 == name.lower()))
    by_path = select(file.video_sha256).where(
        or_(file.path.endswith(f"/{name}", autoescape=True), file.path.contains(f"/{name}.", autoescape=True))
    )
    sha256s = {s for query in (by_name, by_path) for s in session.scalars(query) if s}
    if not sha256s and len(name) >= SHORTEST_PREFIX:
        prefix = video.sha256.startswith(name.lower(), autoescape=True)
        sha256s = set(session.scalars(select(video.sha256).where(prefix)))
    return sorted((located(session, sha256) for sha256 in sha256s), key=lambda one: (one.path, one.sha256))


def located(session: Session, sha256: str) -> FoundVideo:
    """The video with that sha256, with the first path it was seen at."""
    paths = session.scalars(select(models.VideoFile.path).where(models.VideoFile.video_sha256 == sha256))
    return FoundVideo(sha256, min(paths, default=session.get_one(models.Video, sha256).name))


def names(session: Session) -> list[str]:
    """The name of every video, sorted."""
    return sorted(session.scalars(select(models.Video.name).distinct()))


def unreadable(session: Session, path: str) -> str:
    """Why the file at `path` could not be read."""
    return session.get_one(models.VideoFile, path).reason


def samples(session: Session, sha256: str) -> list[models.Sample]:
    """The samples of a video ordered by time, retired ones included."""
    query = select(models.Sample).where(models.Sample.video_sha256 == sha256)
    return sorted(session.scalars(query), key=lambda sample: (sample.start_us, sample.end_us))


def verdicts(session: Session, sample_ids: Sequence[str]) -> dict[str, list[models.SampleCheck]]:
    """The measurements and verdicts of the samples, by sample id, sorted by check."""
    checks: dict[str, list[models.SampleCheck]] = {sample_id: [] for sample_id in sample_ids}
    for chunk in chunks(sample_ids):
        rows = session.scalars(select(models.SampleCheck).where(models.SampleCheck.sample_id.in_(chunk)))
        for row in rows:
            checks[row.sample_id].append(row)
    return {sample_id: sorted(rows, key=lambda row: row.name) for sample_id, rows in checks.items()}
