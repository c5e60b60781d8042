"""Videos, the paths they were seen at, and how many samples they gave."""

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
    """What changes when a file changes, as far as that is known without opening it."""

    size: int
    mtime_ns: int
    inode: int
    sidecar_mtime_ns: int
    """Of the transcript, or a mark of its rows in a table for many videos; 0 when there is none."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A path as it was last seen, and the video that lay there."""

    stat: FileStat
    sha256: str
    settings_hash: str
    removed: bool
    """Somebody removed the video with `annotate remove`."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What became of the video at one path."""

    path: str
    sha256: str
    status: VideoStatus
    reason: str
    detail: str
    removed: bool
    """Somebody removed the video with `annotate remove`."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The samples of some videos, counted."""

    samples: int
    """That take part."""
    seconds: float
    """How long those are together."""
    cut: int
    """Samples of the present cut, rejected ones included."""
    without_transcript: int
    """Samples that take part and of which nobody knows the words."""


def known_files(session: Session, paths: Sequence[str]) -> dict[str, KnownFile]:
    """Those of `paths` whose video is known, by path."""
    found: dict[str, KnownFile] = {}
    for chunk in chunks(paths):
        query = (
            select(models.VideoFile, models.Video.settings_hash, models.Video.removed_at)
            .join(models.Video, models.Video.sha256 == models.VideoFile.video_sha256)
            .where(models.VideoFile.path.in_(chunk))
        )
        for row, settings_hash, removed_at in session.execute(query):
            stat = FileStat(row.size, row.mtime_ns, row.inode, row.sidecar_mtime_ns)
            found[row.path] = KnownFile(stat, row.video_sha256 or "", settings_hash, removed_at is not None)
    return found


CUT_FROM = "cut_from"
"""Among the facts of a video: the path of the copy that was cut."""


def detail_at(path: str, detail: str, cut_from: str | None) -> str:
    """The detail of a video for its copy at `path`: as stored, it is about the copy that was cut.

    One that does not name that copy may name its transcript, so it says whose it is.
    """
    if not detail or not cut_from or cut_from == path:
        return detail
    return detail.replace(cut_from, path) if cut_from in detail else f"the same video as {cut_from}: {detail}"


def file_states(session: Session, paths: Sequence[str]) -> Iterator[FileState]:
    """What became of the videos at `paths`; unknown paths are passed over."""
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
    """The video of that content, if it was seen before."""
    return session.get(models.Video, sha256)


def paths_of(session: Session, sha256: str) -> list[str]:
    """Every path that the video was seen at, sorted."""
    query = select(models.VideoFile.path).where(models.VideoFile.video_sha256 == sha256)
    return sorted(session.scalars(query))


def put_video(
    session: Session, outcome: VideoOutcome, *, name: str, settings_hash: str, speaker: str
) -> list[str]:
    """Store what a worker made of a video, with its samples; the ids of those that it no longer has.

    Name, speaker and split of a known video stay: they are settled elsewhere or for ever.
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
    """Have the video cut again by whoever comes next, whatever the settings say."""
    row = session.get(models.Video, sha256)
    if row is not None:
        row.settings_hash = ""


def put_file(session: Session, path: str, stat: FileStat, sha256: str | None, reason: str = "") -> bool:
    """Remember what lies at `path`. True when another video lay there before.

    The new one is taken for another version of it and keeps its speaker, unless somebody named one.
    """
    row = session.get(models.VideoFile, path)
    replaced = row is not None and row.video_sha256 not in (None, sha256)
    if row is not None and replaced:
        _keep_speaker(session, str(row.video_sha256), sha256)
    if row is None:
        row = models.VideoFile(path=path)
        session.add(row)
    row.size, row.mtime_ns, row.inode = stat.size, stat.mtime_ns, stat.inode
    row.sidecar_mtime_ns = stat.sidecar_mtime_ns
    row.video_sha256, row.reason = sha256, reason
    return replaced


def _keep_speaker(session: Session, old_sha256: str, new_sha256: str | None) -> None:
    """Two versions of one video must not end up in two splits; one that has a split stays in it."""
    old, new = (session.get(models.Video, sha256) for sha256 in (old_sha256, new_sha256))
    if old is None or new is None or new.split is not None or new.speaker != new.sha256:
        return
    if old.split is not None or old.status == VideoStatus.OK:
        new.speaker, new.episode = old.speaker, new.episode or old.episode


def samples_per_split(session: Session) -> dict[Split, int]:
    """How many samples take part in each split."""
    query = (
        select(models.Sample.split, func.count())
        .where(models.Sample.status == SampleStatus.OK, models.Sample.split.is_not(None))
        .group_by(models.Sample.split)
    )
    found = {Split(split): count for split, count in session.execute(query) if split}
    return {split: found.get(split, 0) for split in Split}


def any_cut_here(session: Session) -> bool:
    """Whether a sample takes part whose video was cut by this project, not imported."""
    query = (
        select(models.Sample.id)
        .join(models.Video, models.Video.sha256 == models.Sample.video_sha256)
        .where(models.Sample.status == SampleStatus.OK, models.Video.origin == VideoOrigin.CUT)
    )
    return session.scalars(query.limit(1)).first() is not None


def totals(session: Session, sha256s: Sequence[str]) -> Totals:
    """The samples of those videos."""
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
    """How long those videos are together; one that could not be read counts nothing."""
    total = 0
    for chunk in chunks(sha256s):
        length = models.Video.facts["duration_us"].as_integer()
        query = select(func.coalesce(func.sum(length), 0)).where(models.Video.sha256.in_(chunk))
        total += int(session.scalar(query) or 0)
    return total / 1e6


def add_event(session: Session, kind: str, payload: Mapping[str, object]) -> None:
    """One line of the audit trail."""
    session.add(models.Event(kind=kind, payload=dict(payload)))
