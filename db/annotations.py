"""Annotations: what raters did, as rows that are only ever added."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Annotation, AnnotationState, Annotator, BatchItem, Event

DELETED = "deleted"
"""The revision of a deletion: a number that is gone never comes back."""
UNUSABLE = "unusable-answer"


class Change(StrEnum):
    """What a revision was to us."""

    NONE = "none"
    """Stored before."""
    ANSWER = "answer"
    EDIT = "edit"
    SKIP = "skip"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of one annotation in Label Studio."""

    origin: str
    """``<server>#<number>``."""
    revision: str
    annotator: str
    created_at: datetime
    changed_at: datetime
    seconds: float | None
    skipped: bool
    values: Mapping[str, str]
    """Alias by task id."""
    raw: dict[str, Any]


class History:
    """What is stored about some questions; rows are added through it."""

    def __init__(self, session: Session, items: Collection[BatchItem]) -> None:
        self._session = session
        self._latest: dict[tuple[str, str], Annotation] = {}
        self._revisions: set[tuple[str, str]] = set()
        self._annotators: dict[str, int] = {}
        query = select(Annotation).where(Annotation.batch_item_id.in_([item.id for item in items]))
        for row in session.scalars(query.order_by(Annotation.id)):
            self._latest[row.origin, row.task_id] = row
            self._revisions.add((row.origin, row.revision))

    def add(self, item: BatchItem, revision: Revision, task_ids: Sequence[str]) -> Change:
        """Store a revision, one row per task, unless it is stored already."""
        if (revision.origin, revision.revision) in self._revisions:
            return Change.NONE
        before = any((revision.origin, task_id) in self._latest for task_id in task_ids)
        stored = 0
        for task_id in task_ids:
            earlier = self._latest.get((revision.origin, task_id))
            if revision.skipped:
                state = AnnotationState.SKIPPED
            elif task_id in revision.values:
                state = AnnotationState.ANSWERED
            elif earlier is not None and earlier.state != AnnotationState.DELETED:
                # What was said before was replaced by something unusable: it is not said any more.
                state = AnnotationState.DELETED
            else:
                continue
            self._row(item, revision, task_id, state, earlier)
            stored += 1
        if not stored:
            return Change.UNUSABLE
        self._revisions.add((revision.origin, revision.revision))
        if revision.skipped:
            return Change.SKIP
        return Change.EDIT if before else Change.ANSWER

    def take_back(
        self, item: BatchItem, ls_task_id: int, server: str, present: Collection[int], at: datetime
    ) -> int:
        """Store that annotations of an LS task are gone, all but those `present`; says how many were."""
        still = {f"{server}#{number}" for number in present}
        gone = [
            row for row in self._latest.values()
            if row.batch_item_id == item.id and row.origin.startswith(f"{server}#")
            and row.origin not in still and row.raw.get("task") == ls_task_id
            and row.state != AnnotationState.DELETED
        ]  # fmt: skip
        for row in gone:
            self._add(
                Annotation(
                    sample_id=row.sample_id, task_id=row.task_id, annotator_id=row.annotator_id,
                    state=AnnotationState.DELETED, value=None, seconds=None, batch_item_id=row.batch_item_id,
                    origin=row.origin, revision=DELETED, supersedes_id=row.id, created_at=at, raw=row.raw,
                )
            )  # fmt: skip
        return len({row.origin for row in gone})

    def note_unusable(self, problem: Mapping[str, Any]) -> bool:
        """Keep an answer that cannot be used in the audit trail; says whether it is news."""
        digest = hashlib.sha256(json.dumps(dict(problem), sort_keys=True).encode()).hexdigest()
        known = select(Event.id).where(Event.digest == digest, Event.kind == UNUSABLE)
        if self._session.scalar(known.limit(1)) is not None:
            return False
        self._session.add(Event(kind=UNUSABLE, payload=dict(problem), digest=digest))
        self._session.flush()
        return True

    def _row(
        self, item: BatchItem, revision: Revision, task_id: str, state: AnnotationState,
        earlier: Annotation | None,
    ) -> None:  # fmt: skip
        self._add(
            Annotation(
                sample_id=item.sample_id, task_id=task_id, annotator_id=self._annotator(revision.annotator),
                state=state, value=revision.values.get(task_id), seconds=revision.seconds,
                batch_item_id=item.id, origin=revision.origin, revision=revision.revision,
                supersedes_id=None if earlier is None else earlier.id,
                created_at=revision.created_at if earlier is None else revision.changed_at,
                raw=revision.raw,
            )
        )  # fmt: skip

    def _add(self, row: Annotation) -> None:
        self._session.add(row)
        self._session.flush()
        self._latest[row.origin, row.task_id] = row

    def _annotator(self, name: str) -> int:
        if name not in self._annotators:
            found = self._session.scalar(select(Annotator).where(Annotator.name == name))
            if found is None:
                found = Annotator(name=name)
                self._session.add(found)
                self._session.flush()
            self._annotators[name] = found.id
        return self._annotators[name]
