"""Batches: the samples that may be asked, the questions asked so far, and new batches."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from annotate.errors import AnnotateError
from annotate.types import Modality, Role, Split, parse_task_id, task_id_suffix
from db.chunks import AHEAD
from db.models import (
    UNANSWERED,
    Batch,
    Label,
    Prediction,
    Question,
    QuestionState,
    Round,
    Sample,
    SampleStatus,
    Video,
    VideoOrigin,
)
from db.votes import answer_counts

ASKED = UNANSWERED | {QuestionState.CLOSED}
SHOWN = frozenset({QuestionState.QUEUED, QuestionState.OPEN, QuestionState.CLOSED})
SPLITS = {split.value: split for split in Split}
NO_ROLES: frozenset[Role] = frozenset()
NO_TASKS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sample with at least one pass that may be asked."""

    sample_id: str
    split: Split
    passes: tuple[Modality, ...]
    """Passes that can still be asked, in the order of the protocol."""
    waiting: bool
    """Whether a question of an earlier batch is still unanswered."""
    roles: frozenset[Role]
    """Roles in earlier batches; empty for nearly all samples."""
    labelled: frozenset[str]
    """Ids of the tasks that have a label."""
    again: tuple[Modality, ...] = ()
    """Passes that were answered and may be asked once more."""
    partial: Mapping[Modality, tuple[str, ...]] = field(default_factory=dict)
    """Those of `passes` in which other dimensions are labelled: names of the dimensions to ask, by pass."""

    @property
    def offered(self) -> tuple[Modality, ...]:
        """Every pass that is asked when the sample is chosen: `passes`, and those to ask again."""
        if not self.again:
            return self.passes
        return tuple(m for m in Modality if m in self.passes or m in self.again)


@dataclass(frozen=True, slots=True)
class NewQuestion:
    """A question that `create_batch` will store: one sample in one pass."""

    sample_id: str
    modality: Modality
    role: Role
    rank: int
    score: float
    inclusion_probability: float | None
    held: bool
    dimensions: str = ""
    """The dimensions to ask, see `annotate.types.Form`."""


def candidates(
    session: Session, passes: Sequence[Modality], again: int = 0, tasks: Collection[str] = ()
) -> list[Candidate]:
    """Samples that may be asked, ordered by id.

    A pass can be asked when it has no open or closed question, and either its question was withdrawn or the
    pass has no label yet. Samples without a transcript have no text pass; imported samples have only the text
    pass, because they have no clip. A pass with fewer than `again` answers may be asked again, see
    `_once_more`. Those of `tasks` (ids) that lack a label where other tasks of the same pass have one may be
    asked alone, see `_lacking`.
    """
    asked = _items(session)
    labelled = _labelled(session)
    answers = answer_counts(session, _active_only(asked)) if again else {}
    can_ask = {
        (clip, words): tuple(m for m in passes if (words if m is Modality.TEXT else clip))
        for clip in (False, True)
        for words in (False, True)
    }
    samples = []
    for sample_id, split, transcript, origin in _usable(session):
        left = can_ask[origin == VideoOrigin.CUT, bool(transcript.strip())]
        if sample_id not in asked and sample_id not in labelled:  # nearly all of a large pool
            if left:
                samples.append(Candidate(sample_id, SPLITS[split], left, False, NO_ROLES, NO_TASKS))
            continue
        states, labels = asked.get(sample_id, {}), labelled.get(sample_id, NO_TASKS)
        repeatable = (
            _once_more(left, states, answers.get(sample_id, {}), again) if split == Split.TRAIN else ()
        )
        open_passes = {m for m in left if _to_ask(m, states, labels)}
        lacking = {m: _lacking(m, states.get(m, []), labels, tasks) for m in left if m not in open_passes}
        partial = {m: names for m, names in lacking.items() if names}
        left = tuple(m for m in left if m in open_passes or m in partial)
        repeatable = tuple(m for m in repeatable if m not in partial)
        if left or repeatable:
            earlier = [item for per_pass in states.values() for item in per_pass]
            waiting = any(item.state in UNANSWERED for item in earlier)
            roles = frozenset(Role(item.role) for item in earlier)
            samples.append(
                Candidate(sample_id, SPLITS[split], left, waiting, roles, labels, repeatable, partial)
            )
    return samples


def something_left(
    session: Session, passes: Sequence[Modality], again: int = 0, tasks: Collection[str] = ()
) -> bool:
    """Whether `candidates` is not empty.

    Loads the candidates only when the single thing left may be to ask again, or to ask `tasks` alone.
    """
    new = any(session.scalar(_left(modality).limit(1)) is not None for modality in passes)
    return new or (bool(again or tasks) and bool(candidates(session, passes, again, tasks)))


def _left(modality: Modality) -> Select[str]:
    own = (Question.sample_id == Sample.id, Question.modality == modality)
    labelled = exists().where(Label.sample_id == Sample.id, Label.task_id.endswith(task_id_suffix(modality)))
    query = select(Sample.id).where(
        Sample.status == SampleStatus.OK,
        Sample.split.is_not(None),
        ~exists().where(*own, Question.state.in_(ASKED)),
        exists().where(*own, Question.dimensions == "") | ~labelled,
    )
    if modality is Modality.TEXT:
        return query.where(func.trim(Sample.transcript) != "")
    return query.where(~_without_clip())


def _without_clip() -> ColumnElement[bool]:
    return exists().where(Video.sha256 == Sample.video_sha256, Video.origin == VideoOrigin.IMPORTED)


def without_clip(session: Session) -> int:
    """How many active samples have no clip, so that only their text can be asked."""
    query = select(func.count()).select_from(Sample).where(Sample.status == SampleStatus.OK, _without_clip())
    return session.scalar(query) or 0


class _Asked(NamedTuple):
    """One question of a sample."""

    state: int
    role: str
    shown: bool
    """Whether raters may have seen it, or are about to."""
    dimensions: str
    """See `annotate.types.Form`."""


States = dict[str, list[_Asked]]
"""By pass: the questions of one sample."""


def _is_of(modality: Modality, task_id: str) -> bool:
    return parse_task_id(task_id)[1] is modality


def _to_ask(modality: Modality, states: States, tasks: frozenset[str]) -> bool:
    own = states.get(modality, [])
    if any(item.state in ASKED for item in own):
        return False
    return any(not item.dimensions for item in own) or not any(_is_of(modality, task_id) for task_id in tasks)


def _lacking(
    modality: Modality, items: Sequence[_Asked], labels: frozenset[str], tasks: Collection[str]
) -> tuple[str, ...]:
    """Sorted names of the dimensions among `tasks` that lack a label where another task of the pass has one.

    Empty while a question of the pass is unanswered. A dimension that was asked alone before is left out: a
    rater who skipped it could not judge it.
    """
    judged = any(_is_of(modality, task_id) for task_id in labels)
    if not judged or any(item.state in UNANSWERED for item in items):
        return ()
    asked = {
        name for item in items if item.state == QuestionState.CLOSED for name in item.dimensions.split(",")
    }
    wanted = {parse_task_id(t)[0] for t in tasks if _is_of(modality, t) and t not in labels}
    return tuple(sorted(wanted - asked))


def _once_more(
    passes: Sequence[Modality], states: States, answers: Mapping[str, int], most: int
) -> tuple[Modality, ...]:
    """Closed passes with at least one answer and fewer than `most`; `answers` counts them by pass.

    A rater who saw all modalities cannot judge a single one blindly any more, so once the multimodal pass was
    shown, only that one may be asked again.
    """
    whole = Modality.MULTIMODAL
    shown = any(item.shown for item in states.get(whole, []))
    return tuple(
        m for m in passes
        if 0 < answers.get(m, 0) < most and (m is whole or not shown) and _closed(states.get(m, []))
    )  # fmt: skip


def _closed(items: Sequence[_Asked]) -> bool:
    states = {item.state for item in items}
    return QuestionState.CLOSED in states and not states & UNANSWERED


def _active_only(asked: Mapping[str, States]) -> list[str]:
    """Samples with a closed question that were never part of a uniform draw.

    Those of a uniform draw are not asked again, because they must not depend on what a strategy wants.
    """
    return [
        sample_id for sample_id, states in asked.items()
        if all(item.role == Role.ACTIVE for items in states.values() for item in items)
        and any(_closed(items) for items in states.values())
    ]  # fmt: skip


def _usable(session: Session) -> Iterable[tuple[str, str, str, str]]:
    """(id, split, transcript, origin of the video) of every sample that may be asked, ordered by id."""
    query = (
        select(Sample.id, Sample.split, Sample.transcript, Video.origin)
        .join(Video, Video.sha256 == Sample.video_sha256)
        .where(Sample.status == SampleStatus.OK, Sample.split.is_not(None))
    )
    # Ordered in Python: the databases do not agree on the order of text.
    rows = session.execute(query.execution_options(yield_per=AHEAD))
    return sorted((sample_id, str(split), text, origin) for sample_id, split, text, origin in rows)


def _items(session: Session) -> dict[str, States]:
    """The questions of each sample, by its id."""
    questions: dict[str, States] = {}
    pushed = Question.pushed_at.is_not(None)
    row = Question
    query = select(row.sample_id, row.modality, row.state, row.role, pushed, row.dimensions)
    for sample_id, modality, state, role, sent, dimensions in session.execute(query):
        item = _Asked(state, role, bool(sent) or state in SHOWN, dimensions)
        questions.setdefault(sample_id, {}).setdefault(modality, []).append(item)
    return questions


def _labelled(session: Session) -> dict[str, frozenset[str]]:
    """Ids of the labelled tasks, by sample id."""
    task_ids: dict[str, set[str]] = {}
    for sample_id, task_id in session.execute(select(Label.sample_id, Label.task_id)):
        task_ids.setdefault(sample_id, set()).add(task_id)
    return {sample_id: frozenset(tasks) for sample_id, tasks in task_ids.items()}


def covered_sample_ids(session: Session) -> list[str]:
    """Train samples that are labelled or were asked, ordered by id.

    Audit samples are left out, because models never learn from them.
    """
    asked = select(Question.sample_id).where(Question.state.in_(ASKED))
    query = (
        select(Sample.id)
        .where(Sample.status == SampleStatus.OK, Sample.split == Split.TRAIN)
        .where(Sample.id.in_(asked) | Sample.id.in_(select(Label.sample_id)))
    )
    return sorted(set(session.scalars(query)) - audit_sample_ids(session))


def audit_sample_ids(session: Session) -> set[str]:
    """Samples that were ever drawn for the audit; models never learn from them."""
    return set(session.scalars(select(Question.sample_id).where(Question.role == Role.AUDIT).distinct()))


def roles(session: Session) -> dict[str, Role]:
    """The first role of every active sample that was ever in a batch."""
    query = (
        select(Question.sample_id, Question.role)
        .join(Sample, Sample.id == Question.sample_id)
        .where(Sample.status == SampleStatus.OK)
        .order_by(Question.id.desc())
    )
    return {sample_id: Role(role) for sample_id, role in session.execute(query)}


def queued_batch_ids(session: Session) -> list[int]:
    """Ids of the batches with questions that were not sent to Label Studio yet, oldest first."""
    query = select(Question.batch_id).where(Question.state == QuestionState.QUEUED).distinct()
    return sorted(session.scalars(query))


def batch(session: Session, batch_id: int) -> Batch:
    """The batch with this id."""
    return session.get_one(Batch, batch_id)


def questions(session: Session, batch_id: int) -> list[Question]:
    """The questions of a batch, ordered by rank and pass."""
    query = select(Question).where(Question.batch_id == batch_id)
    return list(session.scalars(query.order_by(Question.rank, Question.modality)))


def count_unanswered(session: Session) -> int:
    """How many questions wait for raters, or for an earlier pass."""
    query = select(func.count()).select_from(Question).where(Question.state.in_(UNANSWERED))
    return session.scalar(query) or 0


def latest_round_id(session: Session) -> int | None:
    """The id of the newest model, whether or not it fits the present settings."""
    return session.scalar(select(func.max(Round.id)))


def create_batch(
    session: Session,
    *,
    project_name: str,
    header: Batch,
    questions: Collection[NewQuestion],
    predictions: Collection[tuple[str, str, dict[str, Any]]],
) -> int:
    """Store a batch with its questions and predictions (sample id, task id, value); returns its id.

    Raises `AnnotateError` when another machine has opened one of the questions meanwhile.
    """
    try:
        session.add(header)
        session.flush()
        for question in questions:
            name = f"{project_name}:{header.id}:{question.sample_id}:{question.modality}"
            session.add(
                Question(
                    batch_id=header.id,
                    sample_id=question.sample_id,
                    modality=question.modality,
                    role=question.role,
                    rank=question.rank,
                    score=question.score,
                    inclusion_probability=question.inclusion_probability,
                    state=QuestionState.HELD if question.held else QuestionState.QUEUED,
                    key=hashlib.sha256(name.encode()).hexdigest()[:20],
                    dimensions=question.dimensions,
                )
            )
        session.add_all(
            Prediction(batch_id=header.id, sample_id=sample_id, task_id=task_id, value=value)
            for sample_id, task_id, value in predictions
        )
        session.flush()
    except IntegrityError as error:
        raise AnnotateError(
            "another `annotate next-batch` has just asked some of these samples; nothing was written",
            hint="run `annotate next-batch` again",
        ) from error
    return header.id
