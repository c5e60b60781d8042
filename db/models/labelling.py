"""Batches of questions, the answers of raters, and the labels made from them."""

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
    """Somebody other than the rater changed it in Label Studio. The row belongs to the editor, holds the
    editor's version, and counts neither as the rater's answer nor as the editor's."""


class QuestionState(IntEnum):
    """The state of a question. An int, so that partial indexes are used."""

    QUEUED = 0
    """To be pushed; it may be on the server already if the confirmation got lost."""
    OPEN = 1
    """In Label Studio, waiting for raters."""
    HELD = 2
    """Waits until the earlier passes of its sample are closed."""
    CLOSED = 3
    """The required number of raters has answered or skipped."""
    WITHDRAWN = 4
    """Withdrawn, or deleted in Label Studio; it may be asked again."""


UNANSWERED = frozenset({QuestionState.QUEUED, QuestionState.OPEN, QuestionState.HELD})
"""States of a question that still has to be answered; a sample has at most one such question per pass."""


class Batch(Base):
    """One call of `annotate next-batch`."""

    __tablename__ = "batch"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    round_id: Mapped[int | None] = mapped_column(ForeignKey("round.id"), index=True)
    """The model that chose; None for a cold start."""
    strategy: Mapped[str]
    seed: Mapped[int]
    settings: Mapped[dict[str, Any]]
    """Pool sizes and shares, from which the inclusion probabilities follow."""


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
    """Inclusion probability of a uniform draw; None if the strategy chose the sample."""
    state: Mapped[int]
    key: Mapped[str] = mapped_column(unique=True)
    """Part of the task's data, so that a task is found again when the server's confirmation got lost."""
    ls_project_id: Mapped[int | None]
    ls_task_id: Mapped[int | None]
    ls_updated_at: Mapped[str] = mapped_column(default="")
    """When the server's task was last changed, as the server wrote it when the task was last read. If the
    server shows another time, earlier or later, the task has to be read again."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    pushed_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    transcript: Mapped[str | None]
    """The text that raters were shown; None in a pass without text, before the push, or if unknown."""
    dimensions: Mapped[str] = mapped_column(default="")
    """`annotate.types.Form.dimensions`: the dimensions that are asked of a sample whose other dimensions were
    judged before; empty for every dimension of the project at the time."""
    taken_down_at: Mapped[datetime | None]
    """When a withdrawn question was removed from Label Studio's queue; None while raters may get it."""


class LsProject(Base):
    """The Label Studio project that holds the questions of one pass that ask the same dimensions."""

    __tablename__ = "ls_project"

    modality: Mapped[str] = mapped_column(primary_key=True)
    server: Mapped[str] = mapped_column(primary_key=True)
    """When the server created its project, in microseconds; it identifies the server, because a server that
    was wiped creates another project."""
    ls_project_id: Mapped[int]
    dimensions: Mapped[str] = mapped_column(default="")
    """The dimensions that its questions ask, as in `Question`; empty for every dimension of the project."""
    config_hash: Mapped[str]
    cursor: Mapped[str] = mapped_column(default="")
    """Time of the latest change that was pulled, as the server wrote it."""


class Annotator(Base):
    """One rater, or the source of imported labels."""

    __tablename__ = "annotator"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    """E-mail address in Label Studio."""


class Annotation(Base):
    """The answer of one rater to one task of one sample. Rows are only ever added; a trigger ensures it.

    An answer in Label Studio is identified by its question, its `origin` and its task, because a server that
    was restored from a backup gives its numbers to other questions. The newest row of an answer, except
    `EDITED` rows, is its present state. Rows of schema 0004 and older have no `ls_task_id` but
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
    """The alias of the answer; for a multilabel task the ticked aliases, joined, or an empty text if none is
    ticked; None when skipped or deleted."""
    seconds: Mapped[float | None]
    """Time spent in seconds, as measured by Label Studio; None if it was not measured."""
    batch_item_id: Mapped[int | None] = mapped_column(ForeignKey("batch_item.id"), index=True)
    origin: Mapped[str]
    """The annotation on the server, ``<server>#<id>``; or ``<server>#<id>@<creation time>`` when the server
    reused the number of an earlier answer for another answer to the same question."""
    revision: Mapped[str]
    """When it was last changed there; ``deleted>N`` for the deletion of row N, and ``<time>>N`` for an answer
    that is there again after row N. Schema 0004 and older wrote ``deleted`` for a deletion."""
    ls_task_id: Mapped[int | None]
    """The server's task of the answer; NULL for imported answers and for rows of schema 0004 and older, which
    hold it in ``raw["task"]``."""
    supersedes_id: Mapped[int | None] = mapped_column(ForeignKey("annotation.id"))
    """The row that this one replaces."""
    created_at: Mapped[datetime]
    """When the rater answered."""
    stored_at: Mapped[datetime] = mapped_column(default=now)
    raw: Mapped[dict[str, Any]]
    """The annotation as the server sent it."""


class Label(Base):
    """The aggregated value of a task of a sample. It can always be recomputed from the annotations."""

    __tablename__ = "label"

    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    task_id: Mapped[str] = mapped_column(primary_key=True)
    origin: Mapped[str] = mapped_column(primary_key=True)
    """``human``."""
    number: Mapped[float | None]
    """The value of a regression task."""
    category: Mapped[str | None]
    """The value of a classification task; for a multilabel task the ticked aliases, joined."""
    distribution: Mapped[dict[str, Any]]
    """Share of the raters by alias of the answer."""
    confidence: Mapped[float]
    """Share of the raters that gave the most frequent answer; for a multilabel task the share that agrees
    with the label about an alias, averaged over the aliases."""
    raters: Mapped[int]
