"""Videos, the paths they were seen at, and counts of their samples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from annotate.types import Split, VideoOutcome, VideoStatus
from db import models
from db.chunks import chunks
from db.models import INACTIVE, SampleStatus, VideoOrigin
from db.samples import put_samples


@dataclass(frozen=True, slots=True)
class FileStat:
    """The file attributes that reveal a change without opening the file."""

    size: int
    mtime_ns: int
    inode: int
    sidecar_mtime_ns: int
    """Of the transcript, or a hash of its rows in a table for many videos; 0 without a transcript."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A path as it was last seen, and the video at it."""

    stat: FileStat
    sha256: str
    settings_hash: str
    removed: bool
    """Whether the video was removed with `annotate remove`."""


@dataclass(frozen=True, slots=True)
class FileState:
    """The status of the video at one path."""

    path: str
    sha256: str
    status: VideoStatus
    reason: str
    detail: str
    removed: bool
    """Whether the video was removed with `annotate remove`."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of the samples of some videos."""

    samples: int
    """Active samples."""
    seconds: float
    """Total length of the active samples."""
    cut: int
    """Samples of the present cut, rejected ones included."""
    without_transcript: int
    """Active samples without a transcript."""


def known_files(session: Session, paths: Sequence[str]) -> dict[str, KnownFile]:
    """The paths whose video is known, with what is known of it."""
    files: dict[str, KnownFile] = {}
    for chunk in chunks(paths):
        query = (
            select(models.VideoFile, models.Video.settings_hash, models.Video.removed_at)
            .join(models.Video, models.Video.sha256 == models.VideoFile.video_sha256)
            .where(models.VideoFile.path.in_(chunk))
        )
        for row, settings_hash, removed_at in session.execute(query):
            stat = FileStat(row.size, row.mtime_ns, row.inode, row.sidecar_mtime_ns)
            files[row.path] = KnownFile(stat, row.video_sha256 or "", settings_hash, removed_at is not None)
    return files


CUT_FROM = "cut_from"
"""Key in the facts of a video: the path of the copy that was cut."""


def detail_at(path: str, detail: str, cut_from: str | None) -> str:
    """The detail of a video, rewritten for its copy at `path`; the stored one is about the copy that was cut.

    A detail without that copy's path may name its transcript, so the copy is put in front of it.
    """
    if not detail or not cut_from or cut_from == path:
        return detail
    return detail.replace(cut_from, path) if cut_from in detail else f"the same video as {cut_from}: {detail}"


def file_states(session: Session, paths: Sequence[str]) -> Iterator[FileState]:
    """The status of the videos at `paths`; unknown paths are skipped."""
    for chunk in chunks(paths):
        query = (
            select(
                models.VideoFile.path, models.Video.sha256, models.Video.status,
                models.Video.reason, models.Video.detail, models.Video.removed_at,
                models.Video.facts[CUT_FROM].as_string(),
            )
            .join(models.Video, models.Video.sha256 == models.VideoFile.video_sha256)
            .where(models.VideoFile.path.in_(chunk))
            .order_by(models.VideoFile.path)
        )  # fmt: skip
        for path, sha256, status, reason, detail, removed_at, cut_from in session.execute(query):
            shown = detail_at(path, detail, cut_from)
            yield FileState(path, sha256, VideoStatus(status), reason, shown, removed_at is not None)


def video(session: Session, sha256: str) -> models.Video | None:
    """The video with that sha256, if it was seen before."""
    return session.get(models.Video, sha256)


def paths_of(session: Session, sha256: str) -> list[str]:
    """Every path that the video was seen at, sorted."""
    query = select(models.VideoFile.path).where(models.VideoFile.video_sha256 == sha256)
    return sorted(session.scalars(query))


def put_video(
    session: Session, outcome: VideoOutcome, *, name: str, settings_hash: str, speaker: str
) -> list[str]:
    """Store the outcome of a video with its samples; returns the ids of the samples that it no longer has.

    Name, speaker and split of a known video stay as they are.
    """
    row = session.get(models.Video, outcome.sha256)
    if row is None:
        row = models.Video(sha256=outcome.sha256, name=name, speaker=speaker, split=None)
        session.add(row)
    row.status, row.reason, row.detail = outcome.status, outcome.reason, outcome.detail
    row.facts = dict(outcome.facts)
    row.settings_hash = settings_hash
    session.flush()
    return put_samples(session, row, outcome.samples)


def forget_cut(session: Session, sha256: str) -> None:
    """Let the next ingest cut the video again, whatever the settings say."""
    row = session.get(models.Video, sha256)
    if row is not None:
        row.settings_hash = ""


def put_file(session: Session, path: str, stat: FileStat, sha256: str | None, reason: str = "") -> bool:
    """Record the file at `path`; returns whether it replaced another video.

    The new video counts as another version of the old one and keeps its speaker, unless it has a named one.
    """
    row = session.get(models.VideoFile, path)
    replaced = row is not None and row.video_sha256 not in (None, sha256)
    if row is not None and replaced:
        old, new = (session.get(models.Video, one) for one in (str(row.video_sha256), sha256))
        # With another speaker, the versions might end up in two splits.
        is_unnamed = new is not None and new.split is None and new.speaker == new.sha256
        if old and new and is_unnamed and (old.split is not None or old.status == VideoStatus.OK):
            new.speaker, new.episode = old.speaker, new.episode or old.episode
    if row is None:
        row = models.VideoFile(path=path)
        session.add(row)
    row.size, row.mtime_ns, row.inode = stat.size, stat.mtime_ns, stat.inode
    row.sidecar_mtime_ns = stat.sidecar_mtime_ns
    row.video_sha256, row.reason = sha256, reason
    return replaced


def samples_per_split(session: Session) -> dict[Split, int]:
    """How many active samples each split has."""
    query = (
        select(models.Sample.split, func.count())
        .where(models.Sample.status == SampleStatus.OK, models.Sample.split.is_not(None))
        .group_by(models.Sample.split)
    )
    counts = {Split(split): count for split, count in session.execute(query) if split}
    return {split: counts.get(split, 0) for split in Split}


def any_cut_here(session: Session) -> bool:
    """Whether an active sample comes from a video that this project cut instead of importing it."""
    query = (
        select(models.Sample.id)
        .join(models.Video, models.Video.sha256 == models.Sample.video_sha256)
        .where(models.Sample.status == SampleStatus.OK, models.Video.origin == VideoOrigin.CUT)
    )
    return session.scalars(query.limit(1)).first() is not None


def totals(session: Session, sha256s: Sequence[str]) -> Totals:
    """Counts of the samples of those videos."""
    sample = models.Sample
    takes_part = sample.status == SampleStatus.OK
    sums = [0, 0, 0, 0]
    for chunk in chunks(sha256s):
        query = select(
            func.count().filter(takes_part),
            func.coalesce(func.sum(sample.end_us - sample.start_us).filter(takes_part), 0),
            func.count().filter(sample.status.not_in(INACTIVE)),
            func.count().filter(takes_part, func.trim(sample.transcript) == ""),
        ).where(sample.video_sha256.in_(chunk))
        sums = [one + int(more) for one, more in zip(sums, session.execute(query).one(), strict=True)]
    count, length, cut, mute = sums
    return Totals(count, length / 1e6, cut, mute)


def footage_seconds(session: Session, sha256s: Sequence[str]) -> float:
    """Total length of the videos in seconds; unreadable ones count 0."""
    total = 0
    for chunk in chunks(sha256s):
        length = models.Video.facts["duration_us"].as_integer()
        query = select(func.coalesce(func.sum(length), 0)).where(models.Video.sha256.in_(chunk))
        total += int(session.scalar(query) or 0)
    return total / 1e6


def add_event(session: Session, kind: str, payload: Mapping[str, object]) -> None:
    """Add an event to the audit trail."""
    session.add(models.Event(kind=kind, payload=dict(payload)))
