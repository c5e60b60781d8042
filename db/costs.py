"""How long raters took, and how long the clips are that they judged."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.chunks import rows_of
from db.models import Annotation, AnnotationState, Question, Sample

RECENT = 20_000
"""Only the newest answers count, because raters get faster."""


def lead_times(session: Session) -> list[tuple[str, float, float]]:
    """(pass, seconds of the clip, seconds taken) of the last revision of each answered question.

    A form asks all dimensions of its pass at once and counts as one answer. Questions about some dimensions
    only are left out, because they take less time.
    """
    answered = (Annotation.state == AnnotationState.ANSWERED, Annotation.seconds.is_not(None))
    newest = (
        select(func.max(Annotation.id).label("id"))
        .where(*answered, Annotation.batch_item_id.is_not(None))
        .group_by(Annotation.batch_item_id, Annotation.origin)
        .order_by(func.max(Annotation.id).desc())
        .limit(RECENT)
        .subquery()
    )
    query = (
        select(Question.modality, Sample.end_us - Sample.start_us, Annotation.seconds)
        .join(newest, newest.c.id == Annotation.id)
        .join(Question, (Question.id == Annotation.batch_item_id) & (Question.dimensions == ""))
        .join(Sample, Sample.id == Annotation.sample_id)
        .order_by(Annotation.id)
    )
    return [(modality, length / 1e6, seconds or 0.0) for modality, length, seconds in session.execute(query)]


def lengths(session: Session, sample_ids: Sequence[str]) -> dict[str, float]:
    """Seconds of each sample's clip, by sample id."""
    query = select(Sample.id, Sample.end_us - Sample.start_us)
    return {row[0]: row[1] / 1e6 for row in rows_of(session, query, Sample.id, sample_ids)}
