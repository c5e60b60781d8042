"""Questions that are taken back: withdrawn in the database, then taken out of Label Studio's queue."""

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
    """Withdraw every unanswered question about the samples; returns how many there were, by their state."""
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
    """Questions about the videos that somebody still has to answer."""
    count = 0
    for chunk in chunks(sha256s):
        query = select(func.count()).select_from(Question).join(Sample, Sample.id == Question.sample_id)
        query = query.where(Sample.video_sha256.in_(chunk), Question.state.in_(UNANSWERED))
        count += session.scalar(query) or 0
    return count


def still_served(session: Session) -> list[ServedQuestion]:
    """Withdrawn questions that were not taken out of Label Studio's queue yet, by id."""
    item = Question
    query = select(item.id, item.modality, item.ls_project_id, item.ls_task_id).where(
        item.state == QuestionState.WITHDRAWN,
        item.taken_down_at.is_(None),
        item.ls_project_id.is_not(None),
        item.ls_task_id.is_not(None),
    )
    return [
        ServedQuestion(number, Modality(modality), int(project or 0), int(task or 0))
        for number, modality, project, task in session.execute(query.order_by(item.id))
    ]


def mark_taken_down(session: Session, question_ids: Collection[int]) -> None:
    """Label Studio gives these questions to nobody any more, but keeps them and what was answered."""
    for chunk in chunks(sorted(question_ids)):
        session.execute(update(Question).where(Question.id.in_(chunk)).values(taken_down_at=now()))


def forget_place(session: Session, question_ids: Collection[int]) -> None:
    """Label Studio has no task for these questions any more."""
    for chunk in chunks(sorted(question_ids)):
        session.execute(
            update(Question).where(Question.id.in_(chunk)).values(ls_project_id=None, ls_task_id=None)
        )


def placed(session: Session, ls_project_id: int, modality: Modality) -> set[int]:
    """Withdrawn questions that are thought to have a task in a project of Label Studio."""
    query = select(Question.id).where(
        Question.state == QuestionState.WITHDRAWN,
        Question.modality == modality,
        Question.ls_project_id == ls_project_id,
    )
    return set(session.scalars(query))


def serve_again(session: Session, ls_project_id: int) -> None:
    """Label Studio may give out the withdrawn questions of a project again: take them down once more."""
    session.execute(
        update(Question).where(Question.ls_project_id == ls_project_id).values(taken_down_at=None)
    )
