"""Adopts questions in Label Studio that a database restored from a backup does not know."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate.types import Form, Role, Split
from db.chunks import chunks
from db.models import (
    UNANSWERED,
    Batch,
    Event,
    Question,
    QuestionState,
    Sample,
    SampleStatus,
    now,
)

ADOPTED = "adopted"
"""The strategy of a batch whose questions were adopted from the server."""


@dataclass(frozen=True, slots=True)
class UnknownTask:
    """A task of the server without a question in the database."""

    id: int
    key: str
    sample_id: str


def questions_of(session: Session, form: Form) -> list[Question]:
    """Every question of a form, whatever its state, oldest first."""
    own = (Question.modality == form.modality, Question.dimensions == form.dimensions)
    return list(session.scalars(select(Question).where(*own).order_by(Question.id)))


def transcripts(session: Session, sample_ids: Collection[str]) -> dict[str, str]:
    """Transcripts of the samples that this database has, whatever their status."""
    transcript_of: dict[str, str] = {}
    for some in chunks(sorted(set(sample_ids))):
        query = select(Sample.id, Sample.transcript).where(Sample.id.in_(some))
        transcript_of |= {sample_id: transcript for sample_id, transcript in session.execute(query)}  # noqa: C416
    return transcript_of


def adopt(
    session: Session,
    ls_project_id: int,
    form: Form,
    tasks: Collection[UnknownTask],
    listed: Collection[int],
) -> dict[int, Question]:
    """Create or find a question for each task of the server; returns them by task number.

    A question about the same sample that waits to be sent, or whose task is not among those `listed` on the
    server, is used, so that nobody is asked twice. If another one is open, the new question is closed: its
    answers count, but no further ones are awaited.
    """
    adopted: dict[int, Question] = {}
    batch: Batch | None = None
    used = set(session.scalars(select(Question.key)))
    for rank, task in enumerate(sorted(tasks, key=lambda task: task.id)):
        sample = session.get_one(Sample, task.sample_id)
        waiting = session.scalar(
            select(Question).where(
                Question.sample_id == sample.id, Question.modality == form.modality,
                Question.state.in_(UNANSWERED),
            )
        )  # fmt: skip
        can_be_answered = waiting is not None and (
            waiting.state == QuestionState.OPEN
            and waiting.ls_project_id == ls_project_id
            and waiting.ls_task_id in listed
        )
        if waiting is not None and waiting.dimensions == form.dimensions and not can_be_answered:
            question = waiting
        else:
            if batch is None:
                batch = Batch(round_id=None, strategy=ADOPTED, seed=0, settings={"ls_project": ls_project_id})
                session.add(batch)
                session.flush()
            question = _new(batch, sample, form, rank)
            question.state = QuestionState.OPEN if waiting is None else QuestionState.CLOSED
        if task.key and task.key not in used:
            question.key = task.key
        elif not question.key:
            name = f"adopted:{ls_project_id}:{form.modality}:{task.id}"
            question.key = hashlib.sha256(name.encode()).hexdigest()[:20]
        used.add(question.key)
        if question.state != QuestionState.CLOSED:
            question.state = QuestionState.OPEN
        question.ls_project_id, question.ls_task_id, question.ls_updated_at = ls_project_id, task.id, ""
        question.pushed_at = now()
        session.add(question)
        session.flush()
        adopted[task.id] = question
    if adopted:
        known = {"ls_project": ls_project_id, "items": sorted(item.id for item in adopted.values())}
        session.add(Event(kind="adopted", payload=known))
    return adopted


def follow_tasks(session: Session, ls_project_id: int, tasks: Mapping[int, list[int]]) -> None:
    """Record the server's tasks of questions.

    `tasks` are task numbers by question id, the best first. A question that was withdrawn because its task
    was missing is reopened if the task exists again and no other question of the pass asks its sample."""
    for some in chunks(sorted(tasks)):
        for question in session.scalars(select(Question).where(Question.id.in_(some))):
            numbers = tasks[question.id]
            is_current = question.ls_project_id == ls_project_id and question.ls_task_id in numbers
            if question.state in (QuestionState.QUEUED, QuestionState.HELD):
                continue
            if question.state == QuestionState.WITHDRAWN:
                # With a task number, it was removed from the queue on purpose.
                if question.ls_project_id is not None:
                    continue
                if _may_open(session, question):
                    question.state, question.taken_down_at = QuestionState.OPEN, None
                    session.flush()
            if not is_current:
                question.ls_project_id, question.ls_task_id, question.ls_updated_at = (
                    ls_project_id, numbers[0], "",
                )  # fmt: skip


def _may_open(session: Session, question: Question) -> bool:
    sample = session.get_one(Sample, question.sample_id)
    asked = select(Question.id).where(
        Question.sample_id == question.sample_id,
        Question.modality == question.modality,
        Question.state.in_(UNANSWERED)
        | ((Question.state == QuestionState.CLOSED) & (Question.dimensions == question.dimensions)),
    )
    return sample.status == SampleStatus.OK and session.scalar(asked.limit(1)) is None


def _new(batch: Batch, sample: Sample, form: Form, rank: int) -> Question:
    # It is unknown which samples were drawn uniformly, so the question never counts as an audit.
    role = Role.ACTIVE if sample.split in (None, Split.TRAIN) else Role.HOLDOUT
    return Question(
        batch_id=batch.id, sample_id=sample.id, modality=form.modality.value, role=role, rank=rank, score=0.0,
        inclusion_probability=None, state=QuestionState.OPEN, key="", dimensions=form.dimensions,
    )  # fmt: skip
