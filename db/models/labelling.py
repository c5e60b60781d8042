"""Batches of questions, the answers of raters, and the labels that these make."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, now


class AnnotationState(StrEnum):
    """What a rater did with a question."""

    ANSWERED = "answered"
    SKIPPED = "skipped"
    DELETED = "deleted"
    EDITED = "edited"
    """Somebody other than the rater changed it in Label Studio. The row belongs to the editor, keeps what the
    editor wrote, and counts neither as the rater's answer nor as the editor's."""


class QuestionState(IntEnum):
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


UNANSWERED = frozenset({QuestionState.QUEUED, QuestionState.OPEN, QuestionState.HELD})
"""States of a question that somebody still has to answer; a sample has one of them per pass at most."""


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


class Question(Base):
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


class LsProject(Base):
    """The Label Studio project that holds the questions of one pass that ask the same dimensions."""

    __tablename__ = "ls_project"

    modality: Mapped[str] = mapped_column(primary_key=True)
    server: Mapped[str] = mapped_column(primary_key=True)
    """When the server made its project, in microseconds: a server that was wiped made another."""
    ls_project_id: Mapped[int]
    dimensions: Mapped[str] = mapped_column(default="")
    """As in `Question`: what its questions ask; empty: every dimension of the project."""
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
