"""Videos and their samples, with their checks, duplicates and corrections."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    ForeignKey,
    Index,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, now


class SampleStatus(StrEnum):
    """Whether a sample is used."""

    OK = "ok"
    """Active: asked, learned from and exported."""
    REJECTED = "rejected"
    """It fails a check; it becomes active again when the rules change."""
    RETIRED = "retired"
    """Its cut changed; it is kept because people may have judged it."""
    REMOVED = "removed"
    """Its video was removed by hand; `annotate remove --undo` restores it."""


INACTIVE = (SampleStatus.RETIRED, SampleStatus.REMOVED)
"""Statuses that checks do not change, and that are left out of groups and duplicates."""


BY_HAND = "hand"
"""Origin of a transcript or speaker corrected by hand, which only another correction changes."""


class VideoOrigin(StrEnum):
    """How a video and its samples came into the project."""

    CUT = "cut"
    """The project read its file and cut it."""
    IMPORTED = "imported"
    """It was imported with a corpus: there is neither footage nor a clip of any sample."""


class Corpus(Base):
    """An imported corpus."""

    __tablename__ = "corpus"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Video(Base):
    """A source file, identified by its content."""

    __tablename__ = "video"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    """File name without folder or suffix, of the path it was first seen at."""
    status: Mapped[str]
    """`annotate.types.VideoStatus`."""
    reason: Mapped[str] = mapped_column(default="")
    """Short code such as ``broken`` or ``no-speech``; empty without a problem."""
    detail: Mapped[str] = mapped_column(default="")
    """The reason in words."""
    facts: Mapped[dict[str, Any]]
    """Measurements of the probe: duration, streams, codecs, rotation. For an imported video, ``samples``
    holds the corpus's names of the samples, by sample id."""
    settings_hash: Mapped[str]
    """Hash of all settings that affect the cut; when it differs, cut again. Empty for imported videos."""
    rules_hash: Mapped[str] = mapped_column(default="")
    """Hash of the rules that judged its samples; when it differs, judge again."""
    speaker: Mapped[str]
    """Name of the speaker; if unknown, that of the video whose path it took over, else its own sha256."""
    episode: Mapped[str] = mapped_column(default="")
    """Episode or series that it is part of; empty if unknown."""
    split: Mapped[str | None]
    """Assigned per group at the end of an ingest; drawn again only while the group has no questions."""
    removed_at: Mapped[datetime | None]
    """When it was removed with `annotate remove`; None while it is used."""
    origin: Mapped[str] = mapped_column(default=VideoOrigin.CUT, server_default=VideoOrigin.CUT)
    corpus_id: Mapped[int | None] = mapped_column(ForeignKey("corpus.id"), index=True)
    """The corpus that it was imported with; None for a video that the project cut itself."""


class VideoFile(Base):
    """A path a video was seen at; it is read again only when size, mtime or inode changed."""

    __tablename__ = "video_file"

    path: Mapped[str] = mapped_column(primary_key=True)
    """Absolute, or a URL; bytes that are not UTF-8 as surrogate escapes, backslash-escaped."""
    size: Mapped[int]
    mtime_ns: Mapped[int]
    inode: Mapped[int]
    sidecar_mtime_ns: Mapped[int]
    """Of its transcript, or a hash of its rows in a table for many videos; 0 without a transcript."""
    video_sha256: Mapped[str | None] = mapped_column(ForeignKey("video.sha256"), index=True)
    """None when the file could not be read."""
    reason: Mapped[str] = mapped_column(default="")
    """Why it could not be read."""


class Sample(Base):
    """One utterance: the unit that is annotated, learned from and exported."""

    __tablename__ = "sample"
    __table_args__ = (Index("ix_sample_split_status", "split", "status"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    """`annotate.types.sample_id` of the video and the cut."""
    video_sha256: Mapped[str] = mapped_column(ForeignKey("video.sha256"), index=True)
    start_us: Mapped[int]
    end_us: Mapped[int]
    transcript: Mapped[str] = mapped_column(default="")
    transcript_origin: Mapped[str] = mapped_column(default="")
    """``subtitles``, ``transcript``, ``asr``, ``ocr``, ``hand`` (`BY_HAND`); empty without a transcript."""
    transcript_raw: Mapped[str] = mapped_column(default="")
    """The text as its source wrote it, before normalisation."""
    words: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """``[text, start_us, end_us, guessed]`` of each word, if their times are known."""
    speaker: Mapped[str] = mapped_column(default="")
    """Speaker of this sample; empty when only that of the video is known."""
    speaker_origin: Mapped[str] = mapped_column(default="")
    """``transcript``, ``table``, ``voice`` (diarization), ``hand`` (`BY_HAND`), or empty."""
    sound_print: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """Audio fingerprint: two recordings of the same sound share many of its numbers."""
    status: Mapped[str] = mapped_column(default=SampleStatus.OK)
    split: Mapped[str | None]
    """Split of the video, repeated here so that one index finds the pool; None also for a sample that is held
    back, because it would put its speaker into a second split."""
    media_sha256: Mapped[dict[str, Any]]
    """Hash of the file under `media/`, by pass."""
    by_hand: Mapped[bool] = mapped_column(default=False)
    """Whether it was corrected by hand; later ingests neither change its cut nor retire it."""
    predecessors: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """Ids of the samples that it replaced when it was cut, split or merged by hand; mostly empty."""


class Correction(Base):
    """One change of a sample by hand. Rows are only ever added; a trigger ensures it."""

    __tablename__ = "correction"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    author: Mapped[str]
    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), index=True)
    """For a changed cut, the new sample."""
    field: Mapped[str]
    """``transcript``, ``speaker``, ``status`` or ``cut``."""
    old: Mapped[dict[str, Any]]
    new: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(default="")


class SampleCheck(Base):
    """The measurement of a check on a sample, with the verdict of its rule."""

    __tablename__ = "sample_check"

    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float | None]
    """None if it could not be measured, or if the value is a word."""
    word: Mapped[str] = mapped_column(default="")
    """The value if it is a word, such as a language."""
    passed: Mapped[bool]
    reason: Mapped[str] = mapped_column(default="")


class DuplicateKey(Base):
    """A key that duplicates share, so that one index finds them."""

    __tablename__ = "repeat_key"

    kind: Mapped[str] = mapped_column(primary_key=True)
    """``sound`` (from the audio fingerprint, a few per sample) or ``text`` (one hash of the words)."""
    key: Mapped[int] = mapped_column(primary_key=True)
    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True, index=True)


class AudioDuplicate(Base):
    """Two samples of different videos with the same sound."""

    __tablename__ = "sound_pair"

    first: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    """The smaller id."""
    second: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True, index=True)
    agreeing: Mapped[int]
    """How many numbers of their audio fingerprints agree."""


class WorkAttempt(Base):
    """Failed attempts at a piece of work that may crash its worker."""

    __tablename__ = "unit"

    id: Mapped[str] = mapped_column(primary_key=True)
    """Stage and content hash of the work."""
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(default="")
