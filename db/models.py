"""The tables, in the order a sample lives through them."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.trouble import damaged


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite would hand back a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC; without its zone on SQLite, which cannot keep one."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Raise `DatabaseDamaged` for a stored text that is no time."""
        read = super().result_processor(dialect, coltype)
        if read is None:
            return None

        def checked(value: Any) -> Any:
            try:
                return read(value)
            except (ValueError, TypeError) as error:
                raise damaged(f"a value in the database is no time any more: {value!r}") from error

        return checked

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back an aware time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CleanText(TypeDecorator[str]):
    """Text without U+0000, which Postgres refuses and SQLite would keep: the last guard, for both alike.

    What people are to be told of is refused where it comes in, with the place in their file.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Leave the character out."""
        return value.replace("\0", "") if value is not None and "\0" in value else value


def now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


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


class AnnotationState(StrEnum):
    """What a rater did with a question."""

    ANSWERED = "answered"
    SKIPPED = "skipped"
    DELETED = "deleted"
    EDITED = "edited"
    """Somebody other than the rater changed it in Label Studio. The row belongs to the editor, keeps what the
    editor wrote, and counts neither as the rater's answer nor as the editor's."""


class BatchItemState(IntEnum):
    """Where a question stands on its way to the raters. An int, so that partial indexes are used."""

    QUEUED = 0
    """In the outbox: to be pushed, perhaps already pushed without our knowing."""
    OPEN = 1
    """In Label Studio, waiting for raters."""
    HELD = 2
    """Waits until the earlier passes of its sample are closed."""
    CLOSED = 3
    """Every rater asked for has answered or skipped."""
    WITHDRAWN = 4
    """Taken back or deleted in Label Studio; may be asked again."""


UNANSWERED = frozenset({BatchItemState.QUEUED, BatchItemState.OPEN, BatchItemState.HELD})
"""States of a question that somebody still has to answer; a sample has one of them per pass at most."""


BY_HAND = "hand"
"""Origin of a transcript or speaker that somebody corrected: nothing but another correction changes it."""


class VideoOrigin(StrEnum):
    """How a video and its samples came into the project."""

    CUT = "cut"
    """The project read its file and cut it."""
    IMPORTED = "imported"
    """A corpus was imported from tables: there is neither footage nor a clip of any sample."""


class Base(DeclarativeBase):
    """Named constraints: a SQLite migration rebuilds tables and must be able to name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        datetime: UtcDateTime,
        str: CleanText,
        dict[str, Any]: JSON,
        int: BigInteger().with_variant(Integer(), "sqlite"),
    }


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


class RepeatKey(Base):
    """What samples that repeat each other have in common, found by one index."""

    __tablename__ = "repeat_key"

    kind: Mapped[str] = mapped_column(primary_key=True)
    """``sound`` (of the print, a few per sample) or ``text`` (a hash of the words, one)."""
    key: Mapped[int] = mapped_column(primary_key=True)
    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True, index=True)


class SoundPair(Base):
    """Two samples of two videos with the same sound."""

    __tablename__ = "sound_pair"

    first: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    """The smaller id."""
    second: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True, index=True)
    agreeing: Mapped[int]
    """Numbers of their prints that agree."""


class Unit(Base):
    """Attempts at a piece of work that can kill its worker."""

    __tablename__ = "unit"

    id: Mapped[str] = mapped_column(primary_key=True)
    """Stage and content hash."""
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(default="")


class FeatureShard(Base):
    """One immutable safetensors file of features."""

    __tablename__ = "feature_shard"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(unique=True)
    """Relative to the features folder."""
    modality: Mapped[str]
    extractor: Mapped[str]
    """``name@hash``."""
    samples: Mapped[int]


class Feature(Base):
    """Where the features of one sample lie; those of another extractor stay beside it."""

    __tablename__ = "feature"

    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    extractor: Mapped[str] = mapped_column(primary_key=True)
    """``name@hash``; the modality follows from it."""
    shard_sha256: Mapped[str] = mapped_column(ForeignKey("feature_shard.sha256"), index=True)
    position: Mapped[int]
    """Row of the shard's index."""
    input_hash: Mapped[str]
    """Of the transcript or media the numbers were made from: another hash means: extract again."""


class Round(Base):
    """One trained model: with what, on which labels, how good."""

    __tablename__ = "round"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    seed: Mapped[int]
    labels_hash: Mapped[str]
    """Of labels, features and settings it was trained with: the same hash means: no need to train."""
    settings: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    """By split, by task id, by metric."""
    model: Mapped[str]
    """Folder relative to the models folder."""
    seconds: Mapped[float]


class Batch(Base):
    """One call of `annotate next-batch`."""

    __tablename__ = "batch"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    round_id: Mapped[int | None] = mapped_column(ForeignKey("round.id"), index=True)
    """None for a cold start."""
    strategy: Mapped[str]
    seed: Mapped[int]
    settings: Mapped[dict[str, Any]]
    """Pool sizes and shares: what is needed to know how likely each sample was to be drawn."""


class BatchItem(Base):
    """A question: one sample asked in one pass."""

    __tablename__ = "batch_item"
    __table_args__ = (
        # Invariant 2: never open twice. The states are those of UNANSWERED.
        Index(
            "uq_batch_item_open",
            "sample_id",
            "modality",
            unique=True,
            sqlite_where=text("state <= 2"),
            postgresql_where=text("state <= 2"),
        ),
        Index("ix_batch_item_state", "state"),
        CheckConstraint("state BETWEEN 0 AND 4", name="state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), index=True)
    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), index=True)
    modality: Mapped[str]
    role: Mapped[str]
    rank: Mapped[int]
    """0 is asked first."""
    score: Mapped[float]
    inclusion_probability: Mapped[float | None]
    """Of a uniform draw; None where the strategy chose."""
    state: Mapped[int]
    key: Mapped[str] = mapped_column(unique=True)
    """Travels in the question's data, so that a lost answer of the server is found again."""
    ls_project_id: Mapped[int | None]
    ls_task_id: Mapped[int | None]
    ls_updated_at: Mapped[str] = mapped_column(default="")
    """When that task of the server was last changed, as the server wrote it, at the time it was read last.
    Another time on the server, earlier or later, means that the task has to be read again."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    pushed_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    transcript: Mapped[str | None]
    """The text that raters were shown; None in a pass without text, before the push, or when unknown."""
    dimensions: Mapped[str] = mapped_column(default="")
    """`annotate.types.Form.dimensions`: what is asked of a sample whose other dimensions were judged before;
    empty: every dimension of the project at the time."""
    taken_down_at: Mapped[datetime | None]
    """When a withdrawn question was taken out of the queue of Label Studio; None while raters may get it."""


class Prediction(Base):
    """What the model believed about a task when the sample was pushed; never shown to raters."""

    __tablename__ = "prediction"

    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    task_id: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]
    """``{"mean": ..., "probs": {alias: p}, "epistemic": ..., "aleatoric": ...}``"""


class LsProject(Base):
    """The Label Studio project that holds the questions of one pass that ask the same dimensions."""

    __tablename__ = "ls_project"

    modality: Mapped[str] = mapped_column(primary_key=True)
    server: Mapped[str] = mapped_column(primary_key=True)
    """When the server made its project, in microseconds: a server that was wiped made another."""
    ls_project_id: Mapped[int]
    dimensions: Mapped[str] = mapped_column(default="")
    """As in `BatchItem`: what its questions ask; empty: every dimension of the project."""
    config_hash: Mapped[str]
    cursor: Mapped[str] = mapped_column(default="")
    """Latest change that was pulled, as the server wrote it."""


class Annotator(Base):
    """One rater, or the source of imported labels."""

    __tablename__ = "annotator"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    """E-mail address in Label Studio."""


class Annotation(Base):
    """What one rater did with one task of one sample. Rows are only ever added (a trigger sees to it).

    An answer in Label Studio is identified by its question, its `origin` and its task, because a server that
    was restored from a backup gives its numbers to other questions. The newest row of an answer, `EDITED`
    rows aside, is its present state. Rows of schema 0004 and older have no `ls_task_id`: theirs is
    ``raw["task"]``.
    """

    __tablename__ = "annotation"
    __table_args__ = (
        UniqueConstraint("batch_item_id", "origin", "revision", "task_id"),
        # NULLs are distinct in a unique constraint, and imported answers have no question.
        Index(
            "uq_annotation_imported",
            "origin",
            "revision",
            "task_id",
            unique=True,
            sqlite_where=text("batch_item_id IS NULL"),
            postgresql_where=text("batch_item_id IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), index=True)
    task_id: Mapped[str]
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotator.id"), index=True)
    state: Mapped[str]
    value: Mapped[str | None]
    """The alias of the answer; of a multilabel task those that were ticked, joined, or an empty text for none
    of them; None when skipped or deleted. Zero is a value, and so is nothing ticked."""
    seconds: Mapped[float | None]
    """Time spent, as Label Studio measured it; None when it did not."""
    batch_item_id: Mapped[int | None] = mapped_column(ForeignKey("batch_item.id"), index=True)
    origin: Mapped[str]
    """Which annotation on which server: ``<server>#<id>``; ``<server>#<id>@<time it was made>`` when the
    server gave the number of an earlier answer to another answer of the same question."""
    revision: Mapped[str]
    """When it was last changed there; ``deleted>N`` for the deletion of row N, and ``<time>>N`` for an answer
    that row N took back and that is there again. Schema 0004 and older wrote ``deleted`` for a deletion."""
    ls_task_id: Mapped[int | None]
    """The task of the server that held the answer; NULL for imported answers and for rows of schema 0004 and
    older, which keep it in ``raw["task"]``."""
    supersedes_id: Mapped[int | None] = mapped_column(ForeignKey("annotation.id"))
    """The row that this one corrects."""
    created_at: Mapped[datetime]
    """When the rater did it."""
    stored_at: Mapped[datetime] = mapped_column(default=now)
    raw: Mapped[dict[str, Any]]
    """The annotation as the server sent it."""


class Label(Base):
    """The agreed value of a task of a sample. A view: it can always be made again."""

    __tablename__ = "label"

    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    task_id: Mapped[str] = mapped_column(primary_key=True)
    origin: Mapped[str] = mapped_column(primary_key=True)
    """``human`` (later also ``machine``, ``gold``, ``imported``)."""
    number: Mapped[float | None]
    """The value of a regression task."""
    category: Mapped[str | None]
    """The value of a classification task; of a multilabel task the ticked aliases, joined."""
    distribution: Mapped[dict[str, Any]]
    """Share of the raters per answer alias."""
    confidence: Mapped[float]
    """Share of the raters that gave the most frequent answer; multilabel: share that agrees with the label
    about an answer, mean over the answers."""
    raters: Mapped[int]


class Export(Base):
    """One dataset that was written."""

    __tablename__ = "export"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    format: Mapped[str]
    path: Mapped[str]
    manifest_sha256: Mapped[str]
    samples: Mapped[int]


class Event(Base):
    """The audit trail: which command did what, when."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    digest: Mapped[str | None] = mapped_column(index=True)
    """Hash of the payload where the same event is recorded only once; else NULL."""
