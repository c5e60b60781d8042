"""Withdraws questions in the database, and tracks which of them Label Studio still gives to raters."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from annotate.types import Modality
from db.chunks import chunks
from db.models import UNANSWERED, Question, QuestionState, Sample, now
from db.outbox import withdraw


@dataclass(frozen=True, slots=True)
class ServedQuestion:
    """A withdrawn question that Label Studio still gives to raters."""

    id: int
    modality: Modality
    ls_project_id: int
    ls_task_id: int


def withdraw_of_samples(session: Session, sample_ids: Sequence[str], reason: str) -> Counter[QuestionState]:
    """Withdraw every unanswered question about the samples; returns their number by former state."""
    counts: Counter[QuestionState] = Counter()
    for chunk in chunks(sample_ids):
        query = select(Question.id, Question.state).where(
            Question.sample_id.in_(chunk), Question.state.in_(UNANSWERED)
        )
        states = {number: state for number, state in session.execute(query)}  # noqa: C416  (a Row is no pair)
        withdraw(session, list(states), reason)
        counts.update(QuestionState(state) for state in states.values())
    session.flush()
    return counts


def count_unanswered(session: Session, sha256s: Sequence[str]) -> int:
    """How many questions about the videos are unanswered."""
    count = 0
    for chunk in chunks(sha256s):
        query = select(func.count()).select_from(Question).join(Sample, Sample.id == Question.sample_id)
        query = query.where(Sample.video_sha256.in_(chunk), Question.state.in_(UNANSWERED))
        count += session.scalar(query) or 0
    return count


def still_served(session: Session) -> list[ServedQuestion]:
    """Withdrawn questions that are still in Label Studio's queue, ordered by id."""
    query = select(Question.id, Question.modality, Question.ls_project_id, Question.ls_task_id).where(
        Question.state == QuestionState.WITHDRAWN,
        Question.taken_down_at.is_(None),
        Question.ls_project_id.is_not(None),
        Question.ls_task_id.is_not(None),
    )
    return [
        ServedQuestion(number, Modality(modality), int(project or 0), int(task or 0))
        for number, modality, project, task in session.execute(query.order_by(Question.id))
    ]


def mark_taken_down(session: Session, question_ids: Collection[int]) -> None:
    """Record that Label Studio no longer gives these questions to raters; it keeps them and their answers."""
    for chunk in chunks(sorted(question_ids)):
        session.execute(update(Question).where(Question.id.in_(chunk)).values(taken_down_at=now()))


def forget_place(session: Session, question_ids: Collection[int]) -> None:
    """Record that Label Studio has no task for these questions any more."""
    for chunk in chunks(sorted(question_ids)):
        session.execute(
            update(Question).where(Question.id.in_(chunk)).values(ls_project_id=None, ls_task_id=None)
        )


def placed(session: Session, ls_project_id: int, modality: Modality) -> set[int]:
    """Ids of the withdrawn questions of a pass that should have a task in the Label Studio project."""
    query = select(Question.id).where(
        Question.state == QuestionState.WITHDRAWN,
        Question.modality == modality,
        Question.ls_project_id == ls_project_id,
    )
    return set(session.scalars(query))


def serve_again(session: Session, ls_project_id: int) -> None:
    """Record that Label Studio may give the project's withdrawn questions to raters again."""
    session.execute(
        update(Question).where(Question.ls_project_id == ls_project_id).values(taken_down_at=None)
    )
