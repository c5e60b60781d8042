"""What each rater said, one answer at a time: for asking again, and for replays that cost real votes."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate import types
from annotate.types import Task
from db.chunks import chunks, rows_of
from db.labels import _answers, label
from db.models import Annotation, AnnotationState, BatchItem


def read_votes(session: Session, tasks: Sequence[Task]) -> dict[tuple[str, str], tuple[str, ...]]:
    """By (sample id, task id): the live answer of each rater, in the order of the raters' ids."""
    said = who_said(session, tasks, _judged(session))
    return {key: tuple(answer for _, answer in given) for key, given in said.items()}


def who_said(
    session: Session, tasks: Sequence[Task], sample_ids: Collection[str]
) -> dict[tuple[str, str], tuple[tuple[int, str], ...]]:
    """By (sample id, task id), of these samples: (rater's id, live answer), in the order of the ids."""
    by_id = {task.id: task for task in tasks}
    found: dict[tuple[str, str], tuple[tuple[int, str], ...]] = {}
    for some in chunks(sorted(_judged(session) & set(sample_ids))):
        for key, said in _answers(session, some, by_id).items():
            found[key] = tuple(sorted(said.items()))
    return found


def _judged(session: Session) -> set[str]:
    """Ids of samples that somebody said something about: few of a large pool."""
    return set(session.scalars(select(Annotation.sample_id).distinct()))


def turns(session: Session, sample_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """By sample, by pass that has a live answer: how often somebody answered or skipped, and stands by it.

    Who answers a second time counts twice, though only the newer answer makes the label: a project with one
    rater would never come to an end otherwise. Answers to questions about different dimensions are counted
    apart, and the largest count is returned.
    """
    row = Annotation
    query = (
        select(
            row.sample_id, row.id, row.batch_item_id, row.origin, row.task_id, row.state, BatchItem.dimensions
        )
        .outerjoin(BatchItem, BatchItem.id == row.batch_item_id)
        .where(row.state != AnnotationState.EDITED)
    )
    latest: dict[tuple[str, tuple[int | None, str], str], tuple[int, str, str]] = {}
    for sample_id, number, question_id, origin, task_id, state, dimensions in rows_of(
        session, query, row.sample_id, sample_ids
    ):
        key = (sample_id, (question_id, origin), task_id)
        latest[key] = max(latest.get(key, (0, "", "")), (number, state, dimensions or ""))
    people: defaultdict[tuple[str, str], defaultdict[str, set[tuple[int | None, str]]]] = defaultdict(
        lambda: defaultdict(set)
    )
    answered = set()
    for (sample_id, answer, task_id), (_, state, dimensions) in latest.items():
        about = (sample_id, task_id.rpartition(".")[2])
        if state != AnnotationState.DELETED:
            people[about][dimensions].add(answer)
        if state == AnnotationState.ANSWERED:
            answered.add(about)
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for sample_id, modality in sorted(answered):
        found[sample_id][modality] = max(len(own) for own in people[sample_id, modality].values())
    return dict(found)


def agreed(sample_id: str, task: Task, said: Sequence[str]) -> types.Label:
    """The label that these answers make, as `rebuild_labels` makes it."""
    row = label(sample_id, task, said)
    value = row.category if row.number is None else row.number
    assert value is not None
    return types.Label(sample_id, task.id, value, dict(row.distribution), row.raters)
