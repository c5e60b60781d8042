"""The states of questions: queued, open in Label Studio, held, closed, withdrawn."""

import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from annotate.errors import ProjectBusy
from annotate.types import Form, Modality
from db.annotations import INCOMPLETE
from db.chunks import chunks
from db.live_answers import UNUSABLE
from db.models import (
    UNANSWERED,
    Annotation,
    AnnotationState,
    Event,
    LsProject,
    Question,
    QuestionState,
    Sample,
    SampleStatus,
    now,
)

MARKER = "labelstudio-marker"
_PUSH_LOCK = 0x616E6E6F
_LABELLING_LOCK = 0x616E6E70


@dataclass(frozen=True, slots=True)
class QueuedQuestion:
    """A question that waits to be sent to Label Studio."""

    id: int
    key: str
    sample_id: str
    modality: Modality
    transcript: str
    score: float
    """Relative rank in its batch, in [0, 1); Label Studio shows the lowest first, over all batches."""
    dimensions: str = ""
    """See `Form`."""

    @property
    def form(self) -> Form:
        """The pass and the dimensions that raters are asked."""
        return Form(self.modality, self.dimensions)


@contextmanager
def sole_pusher(engine: Engine) -> Iterator[None]:
    """On Postgres, let one machine push at a time; on SQLite the project's writer lock ensures it.

    The server releases the lock when the connection ends, however the program ends.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _PUSH_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _PUSH_LOCK})


@contextmanager
def sole_labeller(engine: Engine, wait_seconds: float = 60) -> Iterator[None]:
    """On Postgres, let one folder at a time pull or choose a batch; on SQLite the writer lock ensures it.

    The server releases the lock when the connection ends, however the program ends. Raises `ProjectBusy` when
    another command holds it longer than `wait_seconds`.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        deadline = time.monotonic() + wait_seconds
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LABELLING_LOCK}):
            if time.monotonic() > deadline:
                raise ProjectBusy(
                    "another `annotate pull` or `annotate next-batch` is using this database",
                    hint="wait for it to end, then run this again",
                )
            time.sleep(0.2)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LABELLING_LOCK})


def marker(session: Session, known: str = "") -> str:
    """The text that marks this project's Label Studio projects; created on first use.

    `known` becomes the marker of a database without one, such as one restored from a backup.
    """
    marker_id = stored_marker(session)
    if not marker_id:
        marker_id = known or f"annotate:{uuid.uuid4().hex}"
        session.add(Event(kind=MARKER, payload={"id": marker_id.removeprefix("annotate:")}))
        session.flush()
    return marker_id


def stored_marker(session: Session) -> str:
    """The marker that `marker` created earlier; empty when there is none."""
    event = session.scalar(select(Event).where(Event.kind == MARKER).order_by(Event.id).limit(1))
    return "" if event is None else f"annotate:{event.payload['id']}"


def queued(session: Session) -> list[QueuedQuestion]:
    """The queued questions, ordered by batch, rank and pass."""
    sizes = select(Question.batch_id, func.max(Question.rank) + 1).group_by(Question.batch_id)
    lengths = {row[0]: row[1] for row in session.execute(sizes)}
    query = (
        select(Question, Sample.transcript)
        .join(Sample, Sample.id == Question.sample_id)
        .where(Question.state == QuestionState.QUEUED)
        .order_by(Question.batch_id, Question.rank, Question.key)
    )
    return [
        QueuedQuestion(
            question.id, question.key, question.sample_id, Modality(question.modality), transcript,
            question.rank / lengths[question.batch_id], question.dimensions,
        )
        for question, transcript in session.execute(query)
    ]  # fmt: skip


def shown(session: Session) -> list[tuple[str, Modality]]:
    """Sorted (sample id, pass) of all questions that are queued or open in Label Studio."""
    query = select(Question.sample_id, Question.modality).where(
        Question.state.in_((QuestionState.QUEUED, QuestionState.OPEN))
    )
    return sorted({(sample_id, Modality(modality)) for sample_id, modality in session.execute(query)})


def ls_project_rows(session: Session, modality: Modality, dimensions: str | None = None) -> list[LsProject]:
    """The Label Studio projects of a pass, newest first.

    With `dimensions`, only projects whose questions ask exactly these, see `Form`.
    """
    query = select(LsProject).where(LsProject.modality == modality)
    if dimensions is not None:
        query = query.where(LsProject.dimensions == dimensions)
    # `server` is the time the project was made.
    return sorted(session.scalars(query), key=lambda row: row.server, reverse=True)


def ls_projects(session: Session) -> dict[Modality, int]:
    """The number of each pass's newest Label Studio project that asks all dimensions."""
    newest = {modality: ls_project_rows(session, modality, "")[:1] for modality in Modality}
    return {modality: rows[0].ls_project_id for modality, rows in newest.items() if rows}


def asked_forms(session: Session) -> list[Form]:
    """Every form that has a Label Studio project, those of all dimensions first, then by pass."""
    rows = session.execute(select(LsProject.modality, LsProject.dimensions))
    forms = {Form(Modality(modality), dimensions) for modality, dimensions in rows}
    order = list(Modality)
    return sorted(forms, key=lambda form: (bool(form.dimensions), order.index(form.modality), form))


def remember_project(
    session: Session, modality: Modality, server: str, ls_project_id: int, config_hash: str,
    dimensions: str = "",
) -> None:  # fmt: skip
    """Record the Label Studio project of a pass, the dimensions it asks, and the hash of its page."""
    row = session.get(LsProject, (modality.value, server))
    if row is None:
        row = LsProject(modality=modality.value, server=server, cursor="")
        session.add(row)
    row.dimensions = dimensions
    row.ls_project_id, row.config_hash = ls_project_id, config_hash


def move_cursor(session: Session, modality: Modality, server: str, cursor: str) -> None:
    """Record that every change up to `cursor` is stored."""
    session.get_one(LsProject, (modality.value, server)).cursor = cursor


def mark_open(session: Session, ls_project_id: int, ls_task_ids: Mapping[int, int]) -> None:
    """Mark queued questions as open, with the numbers of their Label Studio tasks by question id."""
    opened = {"state": QuestionState.OPEN, "ls_project_id": ls_project_id, "pushed_at": now()}
    for question_id, ls_task_id in ls_task_ids.items():
        session.execute(
            update(Question)
            .where(Question.id == question_id, Question.state == QuestionState.QUEUED)
            .values(ls_task_id=ls_task_id, **opened)
        )


def withdraw(session: Session, question_ids: Collection[int], reason: str) -> int:
    """Withdraw questions, so that their samples can be asked again, and record why; returns how many."""
    if not question_ids:
        return 0
    for question in session.scalars(select(Question).where(Question.id.in_(question_ids))):
        question.state = QuestionState.WITHDRAWN
    session.add(Event(kind="withdrawn", payload={"items": sorted(question_ids), "reason": reason}))
    return len(question_ids)


def leave_lost_project(session: Session, form: Form) -> int:
    """Withdraw the open questions of a form whose Label Studio project is gone; returns how many.

    Closed questions stay closed, but lose their task number, which a new server gives to other tasks.
    """
    on_server = (
        Question.modality == form.modality,
        Question.dimensions == form.dimensions,
        Question.ls_project_id.is_not(None),
    )
    lost = session.scalars(select(Question.id).where(*on_server, Question.state == QuestionState.OPEN))
    count = withdraw(session, list(lost), f"the Label Studio project of the {form.words} is gone")
    session.flush()
    session.execute(update(Question).where(*on_server).values(ls_project_id=None, ls_task_id=None))
    return count


def questions(session: Session, question_ids: Sequence[int]) -> dict[int, Question]:
    """Questions by id, whatever their state."""
    by_id: dict[int, Question] = {}
    for some in chunks(question_ids):
        query = select(Question).where(Question.id.in_(some))
        by_id |= {question.id: question for question in session.scalars(query)}
    return by_id


def asked_questions(session: Session, ls_project_id: int, modality: Modality) -> list[Question]:
    """Open and closed questions of one Label Studio project."""
    query = select(Question).where(
        Question.ls_project_id == ls_project_id,
        Question.modality == modality,
        Question.state.in_((QuestionState.OPEN, QuestionState.CLOSED)),
    )
    return list(session.scalars(query))


def close_answered(session: Session, raters: int) -> int:
    """Close every open question that `raters` different people answered or skipped; returns how many."""
    query = select(Question).where(Question.state == QuestionState.OPEN)
    questions = {row.id: row for row in session.scalars(query)}
    people = _people(session, list(questions))
    done = [row for question_id, row in questions.items() if len(people.get(question_id, ())) >= raters]
    for question in done:
        question.state, question.closed_at = QuestionState.CLOSED, now()
    return len(done)


def reopen_unanswered(session: Session, question_ids: Collection[int], raters: int) -> int:
    """Reopen closed questions that lack an answer, because Label Studio asks for it again; returns how many.

    Where a pass of a sample was asked twice, only the newest question is reopened, and none while another is
    unanswered. Answers to the others are pulled all the same.
    """
    people = _people(session, sorted(question_ids))
    few = [i for i in sorted(question_ids) if len(people.get(i, ())) < raters]
    closed = [
        question for i in few if (question := session.get_one(Question, i)).state == QuestionState.CLOSED
    ]
    newest = {(question.sample_id, question.modality): question for question in closed}
    busy: set[tuple[str, str]] = set()
    """(sample id, pass) of the unanswered questions about the same samples."""
    for some in chunks(sorted({question.sample_id for question in closed})):
        query = select(Question.sample_id, Question.modality).where(
            Question.sample_id.in_(some), Question.state.in_(UNANSWERED)
        )
        busy |= {(sample_id, modality) for sample_id, modality in session.execute(query)}
    opened = [question for about, question in newest.items() if about not in busy]
    for question in opened:
        question.state, question.closed_at = QuestionState.OPEN, None
    return len(opened)


def _people(session: Session, question_ids: Sequence[int]) -> dict[int, set[int]]:
    """Ids of the raters with a live answer or skip, by question id."""
    latest: dict[tuple[int, str, str], Any] = {}
    for some in chunks(question_ids):
        query = (
            select(
                Annotation.batch_item_id, Annotation.annotator_id, Annotation.state,
                Annotation.origin, Annotation.task_id, Annotation.revision,
            )
            .where(Annotation.batch_item_id.in_(some), Annotation.state != AnnotationState.EDITED)
            .order_by(Annotation.id)
        )  # fmt: skip
        for row in session.execute(query):
            latest[row.batch_item_id, row.origin, row.task_id] = row
    people: dict[int, set[int]] = {}
    incomplete: set[tuple[str, str]] = set()
    if latest:
        payloads = session.scalars(select(Event.payload).where(Event.kind == UNUSABLE))
        incomplete = {(facts["origin"], facts["revision"]) for facts in payloads if facts.get(INCOMPLETE)}
    for row in latest.values():
        # Origin and revision as the server writes them, see `db.models.Annotation`.
        as_sent = row.origin.partition("@")[0], row.revision.partition(">")[0]
        if row.state != AnnotationState.DELETED and as_sent not in incomplete:
            people.setdefault(row.batch_item_id, set()).add(row.annotator_id)
    return people


def count_open(session: Session) -> int:
    """How many questions wait for raters in Label Studio."""
    query = select(func.count()).select_from(Question).where(Question.state == QuestionState.OPEN)
    return session.scalar(query) or 0


def withdraw_unwanted(
    session: Session, passes: Collection[Modality], dimensions: Collection[str] | None = None
) -> int:
    """Withdraw questions that no rater has seen and that are not needed any more; returns how many.

    These are questions about samples that are retired, removed or rejected, and of passes that are no longer
    asked; with `dimensions` (names) also those that ask only other dimensions.
    """
    unseen = Question.state.in_((QuestionState.QUEUED, QuestionState.HELD))
    query = (
        select(Question.id)
        .join(Sample, Sample.id == Question.sample_id)
        .where(unseen, (Sample.status != SampleStatus.OK) | Question.modality.not_in(passes))
    )
    count = withdraw(session, list(session.scalars(query)), "its sample or its pass is no longer asked")
    if dimensions is None:
        return count
    session.flush()
    some = select(Question.id, Question.dimensions).where(unseen, Question.dimensions != "")
    gone = [number for number, names in session.execute(some) if not set(names.split(",")) & set(dimensions)]
    return count + withdraw(session, gone, "its dimensions are no longer asked")


def open_of_rejected(session: Session) -> int:
    """How many questions about rejected samples raters can still answer in Label Studio."""
    query = (
        select(func.count())
        .select_from(Question)
        .join(Sample, Sample.id == Question.sample_id)
        .where(Question.state == QuestionState.OPEN, Sample.status == SampleStatus.REJECTED)
    )
    return session.scalar(query) or 0


def release(session: Session, passes: Collection[Modality] = tuple(Modality)) -> int:
    """Queue held questions whose sample's earlier passes are closed; returns how many.

    Only `passes` count as earlier passes. One whose question was withdrawn must be asked again first. Where
    an earlier pass asks the same dimensions as the held question, the question about those must be closed.
    """
    held = list(session.scalars(select(Question).where(Question.state == QuestionState.HELD)))
    states: _States = {}
    samples = sorted({question.sample_id for question in held})
    for some in chunks(samples):
        query = select(Question.sample_id, Question.modality, Question.dimensions, Question.state).where(
            Question.sample_id.in_(some), Question.modality.in_(passes)
        )
        for sample_id, modality, dimensions, state in session.execute(query):
            states.setdefault((sample_id, modality), {}).setdefault(dimensions, set()).add(state)
    free = [question for question in held if _earlier_closed(question, states)]
    for question in free:
        question.state = QuestionState.QUEUED
    return len(free)


_States = dict[tuple[str, str], dict[str, set[int]]]
"""States of the questions, by (sample id, pass) and then by the dimensions that are asked."""


def _earlier_closed(question: Question, states: _States) -> bool:
    for (sample, modality), by_dimensions in states.items():
        if sample != question.sample_id or modality == question.modality:
            continue
        every = set[int]().union(*by_dimensions.values())
        alike = by_dimensions.get(question.dimensions, every)
        if every & UNANSWERED or QuestionState.CLOSED not in alike:
            return False
    return True
