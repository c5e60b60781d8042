"""Annotations: an append-only log of what raters answered, edited, skipped and deleted."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.chunks import chunks
from db.live_answers import LIVE, UNUSABLE, LiveAnswer, server_time
from db.models import Annotation, AnnotationState, Annotator, Event, Question, now

DELETED = "deleted"
"""Prefix of the revision of a row that records that an answer is gone from the server."""
INCOMPLETE = "incomplete"
"""Key in the audit trail that marks a revision with an unusable answer, so that its rater is not done yet."""


class Change(StrEnum):
    """How a revision from the server differs from what is stored."""

    NONE = "none"
    """It is stored already."""
    ANSWER = "answer"
    EDIT = "edit"
    SKIP = "skip"
    UNUSABLE = "unusable"
    RETURN = "return"
    """A deleted answer is on the server again."""
    OTHERS_EDIT = "others-edit"
    """Somebody other than the rater changed it; the rater's own last version still counts."""
    OTHERS_ANSWER = "others-answer"
    """The same, and no version of the rater's own was ever stored."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of one annotation in Label Studio."""

    server: str
    number: int
    """Number of the annotation on that server."""
    ls_task_id: int
    revision: str
    """When it was last changed, as the server wrote it."""
    rater: str
    """Empty when the server no longer names the rater."""
    named: bool
    """Whether the server gives the rater's e-mail address."""
    editor: str
    """The person who changed it last, if that was not the rater; else empty."""
    created_at: datetime
    changed_at: datetime
    seconds: float | None
    skipped: bool
    values: Mapping[str, str]
    """Alias by task id."""
    raw: dict[str, Any]

    @property
    def base_origin(self) -> str:
        """Its origin, unless an earlier answer to the same question had the same number."""
        return f"{self.server}#{self.number}"


class AnnotationLog:
    """The stored annotations of some questions, and the only way to add rows to them."""

    def __init__(self, session: Session, items: Collection[Question]) -> None:
        self._session = session
        self._rows: dict[int, dict[tuple[str, str], list[Annotation]]] = {}
        """By question, then by origin and task: in the order they were stored."""
        self._annotators: dict[str, int] = {}

        for some in chunks(sorted(item.id for item in items)):
            query = select(Annotation).where(Annotation.batch_item_id.in_(some)).order_by(Annotation.id)
            for row in session.scalars(query):
                self._remember(row)

    def add(self, item: Question, revision: Revision, task_ids: Sequence[str]) -> Change:
        """Store the present state of one annotation, one row per task, unless it is stored already.

        The latest observed state counts, also when the server shows an earlier version again. A version by
        somebody other than the rater is stored under the editor and does not count; the rater's own last
        version does.
        """
        origin = self.origin_of(item, revision)
        if revision.editor:
            return self._add_others_edit(item, origin, revision, task_ids)
        rows_of = self._of(item.id)
        latest = {task_id: _newest(rows_of.get((origin, task_id), ())) for task_id in task_ids}
        known = [row for row in latest.values() if row is not None]
        if known and all(server_time(row.revision) == revision.revision for row in known):
            return Change.NONE
        rater = self.rater_of(item, origin, revision)
        stored = 0
        for task_id, earlier in latest.items():
            if revision.skipped:
                state = AnnotationState.SKIPPED
            elif task_id in revision.values:
                state = AnnotationState.ANSWERED
            elif earlier is not None and earlier.state != AnnotationState.DELETED:
                # An unusable answer replaced the earlier one, which therefore does not count any more.
                state = AnnotationState.DELETED
            else:
                continue  # no answer to the task, now and before
            stored += 1
            self._add(
                Annotation(
                    sample_id=item.sample_id, task_id=task_id, annotator_id=self._annotator(rater),
                    state=state, seconds=revision.seconds,
                    value=revision.values.get(task_id) if state == AnnotationState.ANSWERED else None,
                    batch_item_id=item.id, origin=origin,
                    revision=self._free_revision(item, origin, task_id, revision.revision),
                    ls_task_id=revision.ls_task_id, supersedes_id=None if earlier is None else earlier.id,
                    created_at=revision.changed_at, raw=revision.raw,
                )
            )  # fmt: skip
        if not stored:
            return Change.UNUSABLE
        if any(row.revision.startswith(DELETED) for row in known):
            return Change.RETURN
        if revision.skipped:
            return Change.SKIP
        return Change.EDIT if known else Change.ANSWER

    def origin_of(self, item: Question, revision: Revision) -> str:
        """The origin under which an annotation of the server is stored, or would be.

        The time when it was made distinguishes it from an earlier answer to the same question with the same
        number.
        """
        base = revision.base_origin
        made = {
            origin: rows[0].raw.get("created_at")
            for (origin, _), rows in self._of(item.id).items()
            if origin == base or origin.startswith(f"{base}@")
        }
        for origin, created_at in made.items():
            if created_at is None or datetime.fromisoformat(created_at) == revision.created_at:
                return origin
        return f"{base}@{revision.raw['created_at']}" if base in made else base

    def origins_of(self, item: Question, server: str, number: object) -> set[str]:
        """The origins under which answers with that number to that question are stored."""
        base = f"{server}#{number}"
        return {
            origin for origin, _ in self._of(item.id)
            if origin == base or origin.startswith(f"{base}@")
        }  # fmt: skip

    def rater_of(self, item: Question, origin: str, revision: Revision) -> str:
        """The rater of an answer: as the server names them now or named them before, else a unique name."""
        rows = [row for row in self._answer_rows(item, origin) if row.state != AnnotationState.EDITED]
        if rows and not revision.named:
            return self._session.get_one(Annotator, rows[-1].annotator_id).name
        return revision.rater or self._free_name(revision)

    def mark_deleted(self, answers: Collection[LiveAnswer], at: datetime | None = None) -> int:
        """Record that these answers are gone from the server; returns how many were live until now.

        Their questions must be among those that this log was created with.
        """
        gone = 0
        for answer in answers:
            chains = [
                rows for (origin, _), rows in self._of(answer.question_id).items()
                if origin == answer.origin
            ]  # fmt: skip
            live = [row for rows in chains if (row := _newest(rows)) and row.state in LIVE]
            for row in live:
                self._add(
                    Annotation(
                        sample_id=row.sample_id, task_id=row.task_id, annotator_id=row.annotator_id,
                        state=AnnotationState.DELETED, value=None, seconds=None,
                        batch_item_id=row.batch_item_id, origin=row.origin, revision=f"{DELETED}>{row.id}",
                        ls_task_id=answer.ls_task_id, supersedes_id=row.id, created_at=at or now(),
                        raw=row.raw,
                    )
                )  # fmt: skip
            gone += bool(live)
        return gone

    def note_unusable(self, problem: Mapping[str, Any]) -> bool:
        """Record an unusable answer in the audit trail; returns whether it is new."""
        digest = hashlib.sha256(json.dumps(dict(problem), sort_keys=True).encode()).hexdigest()
        known = select(Event.id).where(Event.digest == digest, Event.kind == UNUSABLE)
        if self._session.scalar(known.limit(1)) is not None:
            return False
        self._session.add(Event(kind=UNUSABLE, payload=dict(problem), digest=digest))
        self._session.flush()
        return True

    def _add_others_edit(
        self, item: Question, origin: str, revision: Revision, task_ids: Sequence[str]
    ) -> Change:
        """Store the version of an editor; the rater's own last version continues to count."""
        own = False
        for task_id in task_ids:
            own |= self._restore_own(item, origin, revision, task_id)
        rows = self._answer_rows(item, origin)
        edits = [row for row in rows if row.state == AnnotationState.EDITED]
        if any(server_time(row.revision) == revision.revision for row in edits):
            return Change.NONE
        for task_id in task_ids:
            self._add(
                Annotation(
                    sample_id=item.sample_id, task_id=task_id, annotator_id=self._annotator(revision.editor),
                    state=AnnotationState.EDITED, value=revision.values.get(task_id), seconds=None,
                    batch_item_id=item.id, origin=origin,
                    revision=self._free_revision(item, origin, task_id, revision.revision),
                    ls_task_id=revision.ls_task_id, supersedes_id=None, created_at=revision.changed_at,
                    raw=revision.raw,
                )
            )  # fmt: skip
        return Change.OTHERS_EDIT if own else Change.OTHERS_ANSWER

    def _restore_own(self, item: Question, origin: str, revision: Revision, task_id: str) -> bool:
        """Make the rater's own last version the present state; returns whether there is one.

        There is none when a deleted answer is on the server again, or when an earlier version of this program
        stored the editor's version as the rater's.
        """
        rows = [
            row for row in self._of(item.id).get((origin, task_id), ())
            if row.state != AnnotationState.EDITED
        ]  # fmt: skip
        if not rows:
            return False
        own = [row for row in rows if not row.revision.startswith(DELETED) and not edited_by_other(row.raw)]
        latest = rows[-1]
        if not own and latest.state == AnnotationState.DELETED:
            return False
        wanted = own[-1] if own else None
        state = wanted.state if wanted else AnnotationState.DELETED
        value = wanted.value if wanted else None
        if latest is not wanted and (latest.state, latest.value) != (state, value):
            self._add(
                Annotation(
                    sample_id=item.sample_id, task_id=task_id, annotator_id=(wanted or latest).annotator_id,
                    state=state, value=value, seconds=wanted.seconds if wanted else None,
                    batch_item_id=item.id, origin=origin,
                    revision=f"{server_time(wanted.revision) if wanted else DELETED}>{latest.id}",
                    ls_task_id=revision.ls_task_id, supersedes_id=latest.id,
                    created_at=wanted.created_at if wanted else revision.changed_at,
                    raw=(wanted or latest).raw,
                )
            )  # fmt: skip
        return wanted is not None

    def _free_revision(self, item: Question, origin: str, task_id: str, revision: str) -> str:
        """The name of a revision, made unique if the server shows a stored version again."""
        rows = self._of(item.id).get((origin, task_id), [])
        used = {row.revision for row in rows}
        return f"{revision}>{rows[-1].id}" if revision in used else revision

    def _answer_rows(self, item: Question, origin: str) -> list[Annotation]:
        """All rows of one answer, in the order they were stored."""
        rows = [
            row for (row_origin, _), chain in self._of(item.id).items()
            if row_origin == origin
            for row in chain
        ]  # fmt: skip
        return sorted(rows, key=lambda row: row.id)

    def _add(self, row: Annotation) -> None:
        self._session.add(row)
        self._session.flush()
        self._remember(row)

    def _remember(self, row: Annotation) -> None:
        of_question = self._rows.setdefault(int(row.batch_item_id or 0), {})
        of_question.setdefault((row.origin, row.task_id), []).append(row)

    def _of(self, question_id: int) -> Mapping[tuple[str, str], list[Annotation]]:
        """The rows of one question, by origin and task."""
        return self._rows.get(question_id, {})

    def _annotator(self, name: str) -> int:
        if name not in self._annotators:
            annotator = self._session.scalar(select(Annotator).where(Annotator.name == name))
            if annotator is None:
                annotator = Annotator(name=name)
                self._session.add(annotator)
                self._session.flush()
            self._annotators[name] = annotator.id
        return self._annotators[name]

    def _free_name(self, revision: Revision) -> str:
        """A name for the unknown rater of this answer, whose account was deleted.

        It must be unique: another server, or a restored one, may give the number to another answer.
        """
        plain = f"{DELETED}:{revision.number}"
        names = (
            plain,
            f"{plain}@{revision.server}",
            f"{plain}@{revision.server}@{revision.raw['created_at']}",
        )
        for name in names[:-1]:
            rows = select(Annotation.id).join(Annotator, Annotator.id == Annotation.annotator_id)
            if self._session.scalar(rows.where(Annotator.name == name).limit(1)) is None:
                return name
        return names[-1]


def _newest(rows: Sequence[Annotation]) -> Annotation | None:
    """The present state of one task of one answer."""
    return next((row for row in reversed(rows) if row.state != AnnotationState.EDITED), None)


def edited_by_other(raw: Mapping[str, Any]) -> bool:
    """Whether an annotation, as the server sent it, was last changed by somebody other than its rater.

    Label Studio names nobody for answers that it imported, and for editors whose account is gone.
    """
    editor = raw.get("updated_by")
    return editor is not None and editor != raw.get("completed_by")
