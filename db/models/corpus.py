"""Videos and their samples, with what was checked, compared and corrected."""

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
    """Whether a sample takes part."""

    OK = "ok"
    REJECTED = "rejected"
    """A check found a reason against it; it comes back when the rules change."""
    RETIRED = "retired"
    """Its cut changed; kept because people may have judged it."""
    REMOVED = "removed"
    """Its video was removed by hand; it comes back with `annotate remove --undo`."""


INACTIVE = (SampleStatus.RETIRED, SampleStatus.REMOVED)
"""States that no verdict of a check changes, and that count in no group and no repeat."""


BY_HAND = "hand"
"""Origin of a transcript or speaker that somebody corrected: nothing but another correction changes it."""


class VideoOrigin(StrEnum):
    """How a video and its samples came into the project."""

    CUT = "cut"
    """The project read its file and cut it."""
    IMPORTED = "imported"
    """A corpus was imported from tables: there is neither footage nor a clip of any sample."""


class Corpus(Base):
    """A corpus of others whose samples were imported."""

    __tablename__ = "corpus"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Video(Base):
    """A source file, known by its content."""

    __tablename__ = "video"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    """File name without folder or suffix, of the path it was first seen at."""
    status: Mapped[str]
    """`annotate.types.VideoStatus`."""
    reason: Mapped[str] = mapped_column(default="")
    """Short code, such as ``broken`` or ``no-speech``; empty when all is well."""
    detail: Mapped[str] = mapped_column(default="")
    """What a person needs to understand the reason."""
    facts: Mapped[dict[str, Any]]
    """What the probe measured: duration, streams, codecs, rotation. Of an imported video: under ``samples``
    the names that its corpus gives to the samples, by sample id."""
    settings_hash: Mapped[str]
    """Of everything that decides the cut; another hash means: cut again. Empty for imported videos."""
    rules_hash: Mapped[str] = mapped_column(default="")
    """Of the rules that its samples were judged by; another hash means: judge again."""
    speaker: Mapped[str]
    """Who talks; when nobody said, that of the video whose path it took over, else its own sha256."""
    episode: Mapped[str] = mapped_column(default="")
    """What it is a part of, when somebody said."""
    split: Mapped[str | None]
    """Given per group at the end of an ingest; drawn anew only while nobody was asked about the group."""
    removed_at: Mapped[datetime | None]
    """When somebody removed it with `annotate remove`; None while it takes part."""
    origin: Mapped[str] = mapped_column(default=VideoOrigin.CUT, server_default=VideoOrigin.CUT)
    corpus_id: Mapped[int | None] = mapped_column(ForeignKey("corpus.id"), index=True)
    """The corpus that it was imported with; None for a video that the project cut."""


class VideoFile(Base):
    """A path a video was seen at; unchanged size, mtime and inode mean: not read again."""

    __tablename__ = "video_file"

    path: Mapped[str] = mapped_column(primary_key=True)
    """Absolute, or a URL; bytes that are not UTF-8 as surrogate escapes, backslash-escaped."""
    size: Mapped[int]
    mtime_ns: Mapped[int]
    inode: Mapped[int]
    sidecar_mtime_ns: Mapped[int]
    """Of its transcript, or a mark of its rows in a table for many videos; 0 when there is none."""
    video_sha256: Mapped[str | None] = mapped_column(ForeignKey("video.sha256"), index=True)
    """None when the file could not be read at all."""
    reason: Mapped[str] = mapped_column(default="")
    """Why it could not be read."""


class Sample(Base):
    """One utterance: what is judged, learned from and exported."""

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
    """The text as its source wrote it, before it was normalised."""
    words: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """``[text, start_us, end_us, guessed]`` of each word, when their times are known."""
    speaker: Mapped[str] = mapped_column(default="")
    """Who talks in this sample, when that is known apart from its video; else empty."""
    speaker_origin: Mapped[str] = mapped_column(default="")
    """``transcript``, ``table``, ``voice`` (guessed), ``hand`` (`BY_HAND`), or empty."""
    sound_print: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """Numbers that two recordings of the same sound share many of."""
    status: Mapped[str] = mapped_column(default=SampleStatus.OK)
    split: Mapped[str | None]
    """That of the video, so that the pool is found by one index; None also for a sample that is held back,
    because it would bring its speaker into a second split."""
    media_sha256: Mapped[dict[str, Any]]
    """By pass: hash of the file under `media/`."""
    by_hand: Mapped[bool] = mapped_column(default=False)
    """Somebody corrected it: no later ingest cuts it otherwise or retires it."""
    predecessors: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """Ids of the samples that it replaced when somebody changed its ends, split or merged; mostly none."""


class Correction(Base):
    """What somebody changed of a sample by hand. Rows are only ever added (a trigger sees to it)."""

    __tablename__ = "correction"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    author: Mapped[str]
    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), index=True)
    """Of a changed cut: the new sample."""
    field: Mapped[str]
    """``transcript``, ``speaker``, ``status`` or ``cut``."""
    old: Mapped[dict[str, Any]]
    new: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(default="")


class SampleCheck(Base):
    """What a check measured on a sample, with the verdict of its rule."""

    __tablename__ = "sample_check"

    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float | None]
    """None where it could not be told, or is a word."""
    word: Mapped[str] = mapped_column(default="")
    """The value when it is a word, such as a language."""
    passed: Mapped[bool]
    reason: Mapped[str] = mapped_column(default="")


class DuplicateKey(Base):
    """What samples that repeat each other have in common, found by one index."""

    __tablename__ = "repeat_key"

    kind: Mapped[str] = mapped_column(primary_key=True)
    """``sound`` (of the print, a few per sample) or ``text`` (a hash of the words, one)."""
    key: Mapped[int] = mapped_column(primary_key=True)
    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True, index=True)


class AudioDuplicate(Base):
    """Two samples of two videos with the same sound."""

    __tablename__ = "sound_pair"

    first: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    """The smaller id."""
    second: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True, index=True)
    agreeing: Mapped[int]
    """Numbers of their prints that agree."""


class WorkAttempt(Base):
    """Attempts at a piece of work that can kill its worker."""

    __tablename__ = "unit"

    id: Mapped[str] = mapped_column(primary_key=True)
    """Stage and content hash."""
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(default="")
