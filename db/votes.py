"""The live answers of each rater, which labels are made from, and how often each pass was answered."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate.types import Task, parse_task_id
from db.chunks import CHUNK, chunks, rows_of
from db.models import Annotation, AnnotationState, Question


def read_votes(session: Session, tasks: Sequence[Task]) -> dict[tuple[str, str], tuple[str, ...]]:
    """By (sample id, task id): the live answer of each rater, in the order of the raters' ids."""
    answers = answers_by_rater(session, tasks, judged_samples(session))
    return {key: tuple(by_rater.values()) for key, by_rater in answers.items()}


def answers_by_rater(
    session: Session, tasks: Sequence[Task], sample_ids: Collection[str]
) -> dict[tuple[str, str], dict[int, str]]:
    """The latest live answer of each rater, by (sample id, task id) and then by rater id, in order.

    An answer counts when it is neither superseded, skipped nor deleted, and is valid for its dimension. On a
    scale, every number is valid, because imported corpora hold means of several raters.
    """
    dimensions = {task.id: task.dimension for task in tasks}
    # Few samples of a large pool have an answer.
    ids = sample_ids if len(sample_ids) <= CHUNK else judged_samples(session) & set(sample_ids)
    column = Annotation
    # Not whole rows: the record that the server sent is the largest column and takes the longest to read.
    query = (
        select(
            column.id, column.origin, column.sample_id, column.task_id, column.annotator_id, column.state,
            column.value, column.created_at, column.batch_item_id,
        )
        .where(column.task_id.in_(list(dimensions)), column.state != AnnotationState.EDITED)
        .order_by(column.id)
    )  # fmt: skip
    answers: dict[tuple[str, str], dict[int, str]] = {}
    for chunk in chunks(sorted(ids)):
        # A restored server gives the number of an answer to an answer of another question.
        latest = {
            (row.batch_item_id, row.origin, row.task_id): row
            for row in session.execute(query.where(column.sample_id.in_(chunk)))
        }
        # Of two live answers of one rater the newer one counts.
        for row in sorted(latest.values(), key=lambda row: (row.created_at, row.id)):
            dimension, value = dimensions[row.task_id], row.value
            if row.state != AnnotationState.ANSWERED or value is None:
                continue
            if dimension.takes(value) or dimension.number(value) is not None:
                answers.setdefault((row.sample_id, row.task_id), {})[row.annotator_id] = value
    return {key: dict(sorted(by_rater.items())) for key, by_rater in answers.items()}


def judged_samples(session: Session) -> set[str]:
    """Ids of the samples that have an annotation, whatever its state."""
    return set(session.scalars(select(Annotation.sample_id).distinct()))


def answer_counts(session: Session, sample_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many answers and skips count now, by sample id and by pass with a live answer.

    Two answers of one rater count as two, although only the newer one makes the label: otherwise a project
    with a single rater would never end. Questions about different dimensions are counted separately, and the
    largest count is returned.
    """
    row = Annotation
    query = (
        select(
            row.sample_id, row.id, row.batch_item_id, row.origin, row.task_id, row.state, Question.dimensions
        )
        .outerjoin(Question, Question.id == row.batch_item_id)
        .where(row.state != AnnotationState.EDITED)
    )
    latest: dict[tuple[str, tuple[int | None, str], str], tuple[int, str, str]] = {}
    for sample_id, number, question_id, origin, task_id, state, dimensions in rows_of(
        session, query, row.sample_id, sample_ids
    ):
        key = (sample_id, (question_id, origin), task_id)
        latest[key] = max(latest.get(key, (0, "", "")), (number, state, dimensions or ""))
    answers: defaultdict[tuple[str, str], defaultdict[str, set[tuple[int | None, str]]]] = defaultdict(
        lambda: defaultdict(set)
    )
    answered = set()
    for (sample_id, answer, task_id), (_, state, dimensions) in latest.items():
        sample_pass = (sample_id, parse_task_id(task_id)[1].value)
        if state != AnnotationState.DELETED:
            answers[sample_pass][dimensions].add(answer)
        if state == AnnotationState.ANSWERED:
            answered.add(sample_pass)
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for sample_id, modality in sorted(answered):
        counts[sample_id][modality] = max(len(by_form) for by_form in answers[sample_id, modality].values())
    return dict(counts)
