"""Answers that count now: on the server at the last pull, or kept although the server lost them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.chunks import chunks
from db.models import Annotation, AnnotationState, Annotator, Event

UNUSABLE = "unusable-answer"
"""Kind of the event that keeps an answer that could not be used."""
KEPT = "kept-answers"
"""Kind of the event that lists answers that count although their server has lost them."""
LIVE = frozenset({AnnotationState.ANSWERED, AnnotationState.SKIPPED})
"""States of an answer that counts as given."""


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """An annotation that counts: answered or skipped, and not known to be deleted from the server."""

    question_id: int
    sample_id: str
    origin: str
    ls_task_id: int
    rater: str
    revision: str
    """When it was last changed, as the server wrote it."""
    stored_at: datetime

    @property
    def number(self) -> int:
        """Its number on the server."""
        return number_of(self.origin)


def number_of(origin: str) -> int:
    """The server's number of an answer, from the row's `origin`."""
    return int(origin.rpartition("#")[2].partition("@")[0])


def server_time(revision: str) -> str:
    """When the server says an answer was last changed, from the row's `revision`."""
    return revision.partition(">")[0]


def keep_answers(session: Session, answers: Collection[LiveAnswer]) -> None:
    """Record that these answers count although their server has lost them."""
    kept = sorted([answer.question_id, answer.origin] for answer in answers)
    session.add(Event(kind=KEPT, payload={"answers": kept}))


def kept_answers(session: Session) -> set[tuple[int, str]]:
    """(question, origin) of every answer that was passed to `keep_answers`."""
    payloads = session.scalars(select(Event.payload).where(Event.kind == KEPT))
    return {(question_id, origin) for payload in payloads for question_id, origin in payload["answers"]}


def unusable_origins(session: Session) -> set[str]:
    """Origins of answers that were unusable when they were read; raters may have updated them since."""
    return {
        str(payload["origin"])
        for payload in session.scalars(select(Event.payload).where(Event.kind == UNUSABLE))
    }


def live_answers(session: Session, server: str) -> list[LiveAnswer]:
    """The answers of a server that count now, one per annotation, ordered by question and origin."""
    column = Annotation
    query = (
        select(
            column.id, column.batch_item_id, column.sample_id, column.origin, column.task_id, column.state,
            column.ls_task_id, column.revision, column.stored_at, Annotator.name,
        )
        .join(Annotator, Annotator.id == column.annotator_id)
        .where(
            column.origin.startswith(f"{server}#", autoescape=True), column.state != AnnotationState.EDITED
        )
        .order_by(column.id)
    )  # fmt: skip
    latest: dict[tuple[int, str, str], Any] = {}
    for row in session.execute(query):
        latest[row.batch_item_id, row.origin, row.task_id] = row
    live = [row for row in latest.values() if row.state in LIVE]
    older = sorted(row.id for row in live if row.ls_task_id is None)
    task_of: dict[int, int] = {}
    for some in chunks(older):
        for row_id, raw in session.execute(select(column.id, column.raw).where(column.id.in_(some))):
            task_of[row_id] = int(raw.get("task") or 0)
    answers = {
        (row.batch_item_id, row.origin): LiveAnswer(
            row.batch_item_id, row.sample_id, row.origin, row.ls_task_id or task_of[row.id],
            row.name, server_time(row.revision), row.stored_at,
        )
        for row in live
    }  # fmt: skip
    return [answers[key] for key in sorted(answers)]
