"""What ties videos together (speakers, episodes), and the splits that groups of videos get."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from sqlalchemy import Select, exists, func, select, update
from sqlalchemy.orm import Session

from annotate.types import GUESSED, Split, Turn, VideoMetadata, VideoStatus
from db import models
from db.checks import REPEATS
from db.chunks import chunks
from db.models import INACTIVE, SampleStatus, VideoOrigin


@dataclass(frozen=True, slots=True)
class VideoTies:
    """One video with everything that may tie it to others."""

    sha256: str
    speaker: str
    """Speaker of the whole video; a sha256, its own or another version's, when nobody named one."""
    episode: str = ""
    split: Split | None = None
    samples: int = 0
    """Active samples."""
    unsettled: int = 0
    """Active samples without a split."""
    speakers: tuple[tuple[str, int], ...] = ()
    """(name, samples) of speakers named for single samples, rejected samples included."""
    unsettled_speakers: tuple[tuple[str, int], ...] = ()
    """The same for active samples without a split."""
    settled_speakers: tuple[tuple[str, int], ...] = ()
    """The same for all samples with a split."""

    def released(self) -> "VideoTies":
        """The same video as if neither it nor its samples had a split."""
        return replace(
            self, split=None, unsettled=self.samples, unsettled_speakers=self.speakers, settled_speakers=()
        )


def something_to_settle(session: Session) -> bool:
    """Whether an active sample has no split."""
    query = select(models.Sample.id).where(
        models.Sample.split.is_(None), models.Sample.status == SampleStatus.OK
    )
    return session.scalars(query.limit(1)).first() is not None


def video_ties(session: Session) -> Iterator[VideoTies]:
    """Every video that was cut or has a split, without removed ones, ordered by sha256.

    Guessed speakers tie nothing. A sample that is rejected only as a duplicate of one in another split counts
    as active: which of the two is rejected depends on the splits, so the splits must not depend on it.
    """
    sample = models.Sample
    counts: defaultdict[str, list[tuple[str, bool, bool, int]]] = defaultdict(list)
    # A sample that is rejected only because it duplicates one in another split takes part, too.
    check = models.SampleCheck
    failed = exists().where(check.sample_id == sample.id, ~check.passed)
    only_duplicates = failed.where(check.name.in_(REPEATS)) & ~failed.where(check.name.not_in(REPEATS))
    takes_part = (sample.status == SampleStatus.OK) | (
        (sample.status == SampleStatus.REJECTED) & only_duplicates
    )
    every = (
        select(
            sample.video_sha256, sample.speaker, sample.speaker_origin,
            takes_part.label("takes_part"), sample.split,
        )
        .where(sample.status.not_in(INACTIVE))
        .subquery()
    )  # fmt: skip
    counted: Select[*tuple[Any, ...]] = select(*every.c, func.count()).group_by(*every.c)
    for sha256, speaker, origin, counts_in, split, count in session.execute(counted):
        name = "" if origin == GUESSED else speaker
        counts[sha256].append((name, bool(counts_in), split is None, count))
    video = models.Video
    rows = session.execute(
        select(video.sha256, video.speaker, video.episode, video.split)
        .where((video.status == VideoStatus.OK) | video.split.is_not(None), video.removed_at.is_(None))
        .order_by(video.sha256)
    )
    for sha256, speaker, episode, split in rows:
        of_video = counts[sha256]
        yield VideoTies(
            sha256, speaker, episode, Split(split) if split else None,
            samples=sum(n for _, ok, _, n in of_video if ok),
            unsettled=sum(n for _, ok, new, n in of_video if ok and new),
            speakers=_by_name((name, n) for name, _, _, n in of_video),
            settled_speakers=_by_name((name, n) for name, _, new, n in of_video if not new),
            unsettled_speakers=_by_name((name, n) for name, ok, new, n in of_video if ok and new),
        )  # fmt: skip


def fixed_videos(session: Session) -> set[str]:
    """Sha256 of the videos whose split must not change any more.

    They were imported, or one of their samples has a question, an answer or a label.
    """
    sample, video = models.Sample, models.Video
    fixed = set(session.scalars(select(video.sha256).where(video.origin == VideoOrigin.IMPORTED)))
    for judged in (models.Question, models.Annotation, models.Label):
        query = select(sample.video_sha256).join(judged, judged.sample_id == sample.id).distinct()
        fixed |= set(session.scalars(query))
    return fixed


def release_splits(session: Session, sha256s: Sequence[str]) -> None:
    """Clear the splits of these videos and of all their samples, so that others can be assigned."""
    for chunk in chunks(sha256s):
        session.execute(update(models.Video).where(models.Video.sha256.in_(chunk)).values(split=None))
        session.execute(update(models.Sample).where(models.Sample.video_sha256.in_(chunk)).values(split=None))


def _by_name(counts: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    total: defaultdict[str, int] = defaultdict(int)
    for name, count in counts:
        if name:
            total[name] += count
    return tuple(sorted(total.items()))


def give_splits(
    session: Session, chosen: Mapping[str, Split], held: Mapping[str, Collection[str]]
) -> tuple[int, int]:
    """Assign splits to videos (by sha256) that have none, and to their samples.

    `held` names the speakers, by video, whose new samples get no split. Returns how many videos got a split,
    and how many active samples were held back.
    """
    video, sample = models.Video, models.Sample
    new = sorted(session.scalars(select(video.sha256).where(video.split.is_(None))))
    rows = [{"sha256": sha256, "split": chosen[sha256]} for sha256 in new if sha256 in chosen]
    if rows:
        session.execute(update(video), rows)
    kept_back: list[str] = []
    counted = 0
    for chunk in chunks(sorted(held)):
        query = (
            select(sample.id, sample.video_sha256, sample.speaker, sample.speaker_origin)
            .where(sample.video_sha256.in_(chunk), sample.split.is_(None))
            .order_by(sample.id)
        )
        for sample_id, sha256, speaker, origin in session.execute(query):
            # An empty name holds back the whole video.
            if "" in held[sha256] or (origin != GUESSED and speaker and speaker in held[sha256]):
                kept_back.append(sample_id)
    of_video = select(video.split).where(video.sha256 == sample.video_sha256)
    session.execute(update(sample).where(sample.split.is_(None)).values(split=of_video.scalar_subquery()))
    for chunk in chunks(kept_back):
        session.execute(update(sample).where(sample.id.in_(chunk)).values(split=None))
        ok = select(func.count()).where(sample.id.in_(chunk), sample.status == SampleStatus.OK)
        counted += session.scalar(ok) or 0
    return len(rows), counted


def homes(session: Session) -> dict[str, Split]:
    """The split of every named speaker of a video or of single samples."""
    video, sample = models.Video, models.Sample
    here = (video.split.is_not(None), video.removed_at.is_(None))
    whole = select(video.speaker, video.split).where(*here).distinct()
    single = (
        select(sample.speaker, sample.split)
        .where(sample.split.is_not(None), sample.speaker != "", sample.speaker_origin != GUESSED)
        .where(sample.status.not_in(INACTIVE))
        .distinct()
    )
    pairs = {(speaker, split) for query in (whole, single) for speaker, split in session.execute(query)}
    return {speaker: Split(split) for speaker, split in sorted(pairs, reverse=True) if split}


def episode_homes(session: Session) -> dict[str, Split]:
    """The split of every episode."""
    video = models.Video
    here = (video.split.is_not(None), video.removed_at.is_(None))
    query = select(video.episode, video.split).where(*here, video.episode != "").distinct()
    return {episode: Split(split) for episode, split in sorted(session.execute(query), reverse=True) if split}


def leave_lost_homes(
    session: Session,
    sha256s: Sequence[str],
    speakers: Mapping[str, Split],
    episodes: Mapping[str, Split],
    together: Collection[str],
) -> list[str]:
    """Clear the split of each of these videos whose speaker or episode is in another split meanwhile.

    `speakers` and `episodes` are the splits of those apart from these videos. Where only single samples are
    affected, only they lose their split. A video without questions and labels loses its own, too, so that it
    gets another one; other videos keep theirs, and their samples are held back. Returns the sorted names of
    the videos.
    """
    names = []
    for row in _videos(session, sorted(sha256s)):
        whole = ("speaker" in together and speakers.get(row.speaker, row.split) != row.split) or (
            "episode" in together and episodes.get(row.episode, row.split) != row.split
        )
        elsewhere = {name for name, split in speakers.items() if "speaker" in together and split != row.split}
        samples = [
            sample
            for sample in session.scalars(
                select(models.Sample).where(models.Sample.video_sha256 == row.sha256)
            )
            if whole or (sample.speaker in elsewhere and sample.speaker_origin != GUESSED)
        ]
        if row.split is None or not samples:
            continue
        names.append(row.name)
        for sample in samples:
            sample.split = None
        own = select(models.Sample.id).where(models.Sample.video_sha256 == row.sha256)
        judged = any(
            session.scalar(select(model.sample_id).where(model.sample_id.in_(own)).limit(1)) is not None
            for model in (models.Question, models.Label)
        )
        if whole and not judged:
            row.split = None
    session.flush()
    return sorted(names)


@dataclass(frozen=True, slots=True)
class Refused:
    """Metadata that were not stored, because a split would have to change."""

    speakers: list[str]
    """Names of videos, sorted."""
    episodes: list[str]
    """Names of videos, sorted."""
    samples: int


def put_metadata(
    session: Session, metadata: Mapping[str, VideoMetadata], together: Collection[str]
) -> Refused:
    """Store the metadata of videos, by sha256, as long as each kind in `together` stays in one split."""
    speakers = {sha256: video.speaker for sha256, video in metadata.items() if video.speaker}
    episodes = {sha256: video.episode for sha256, video in metadata.items() if video.episode}
    turns = {sha256: video.turns for sha256, video in metadata.items() if video.turns}
    tied = "speaker" in together
    return Refused(
        rename_speakers(session, speakers, tied=tied),
        name_episodes(session, episodes, tied="episode" in together),
        name_turns(session, turns, tied=tied),
    )


def rename_speakers(session: Session, speakers: Mapping[str, str], *, tied: bool = True) -> list[str]:
    """Store the speaker of each video, by sha256.

    No split changes: where speakers are `tied` to one split and the new speaker is in another split than the
    video, the video keeps its old speaker. Returns the sorted names of those videos.
    """
    return _name_videos(session, "speaker", speakers, homes, tied=tied)


def name_episodes(session: Session, episodes: Mapping[str, str], *, tied: bool = True) -> list[str]:
    """Store the episode of each video, by sha256; refuses as `rename_speakers` does."""
    return _name_videos(session, "episode", episodes, episode_homes, tied=tied)


def _name_videos(
    session: Session,
    column: str,
    names: Mapping[str, str],
    read_homes: Callable[[Session], dict[str, Split]],
    *,
    tied: bool,
) -> list[str]:
    differ = [row for row in _videos(session, sorted(names)) if getattr(row, column) != names[row.sha256]]
    home_of = read_homes(session) if tied and differ else {}
    refused = []
    for row in differ:
        name = names[row.sha256]
        if tied and row.split and home_of.setdefault(name, Split(row.split)) != row.split:
            refused.append(row.name)
        else:
            setattr(row, column, name)
    _record(session, f"{column}s", len(differ) - len(refused))
    return sorted(refused)


def _videos(session: Session, sha256s: Sequence[str]) -> Iterator[models.Video]:
    for chunk in chunks(sha256s):
        query = select(models.Video).where(models.Video.sha256.in_(chunk)).order_by(models.Video.sha256)
        yield from session.scalars(query)


def _record(session: Session, kind: str, renamed: int) -> None:
    if renamed:
        session.add(models.Event(kind=kind, payload={"renamed": renamed}))
    session.flush()


def name_turns(session: Session, turns_of: Mapping[str, Sequence[Turn]], *, tied: bool = True) -> int:
    """Store the speakers of single samples from the speaker turns of each video, by sha256.

    A sample gets the speaker whose turns cover most of it. Returns how many samples keep their old speaker
    because the new one is in another split.
    """
    sample, indexed = models.Sample, {sha256: _Turns(turns) for sha256, turns in turns_of.items()}
    differ: list[tuple[models.Sample, str]] = []
    for chunk in chunks(sorted(indexed)):
        query = select(sample).where(sample.video_sha256.in_(chunk)).order_by(sample.id)
        for row in session.scalars(query):
            speaker = indexed[row.video_sha256].speaker(row.start_us, row.end_us)
            stored = row.speaker, row.speaker_origin
            if speaker and row.speaker_origin != models.BY_HAND and stored != (speaker, "table"):
                differ.append((row, speaker))
    home_of = homes(session) if tied and differ else {}
    refused = 0
    for row, speaker in differ:
        if tied and row.split and home_of.setdefault(speaker, Split(row.split)) != row.split:
            refused += 1
        else:
            row.speaker, row.speaker_origin = speaker, "table"
    _record(session, "turns", len(differ) - refused)
    return refused


class _Turns:
    """The turns of one video, indexed by time."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = sorted(turns, key=lambda turn: (turn.start_us, turn.end_us, turn.speaker))
        self._starts = [turn.start_us for turn in self._turns]
        self._ends = list(accumulate((turn.end_us for turn in self._turns), max))

    def speaker(self, start_us: int, end_us: int) -> str:
        """The speaker who talks most in the interval; of equals the first by name; empty if nobody talks."""
        shares: defaultdict[str, int] = defaultdict(int)
        # Turns may overlap, so the running maximum of their ends finds the first that may reach in.
        for turn in self._turns[bisect_right(self._ends, start_us) : bisect_left(self._starts, end_us)]:
            shares[turn.speaker] += max(0, min(end_us, turn.end_us) - max(start_us, turn.start_us))
        speaker, most = min(shares.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
        return speaker if most else ""
