"""Asks questions again after corrections, and tracks which transcript each answer was given to."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session, aliased

from annotate.types import Modality, Role
from db.batches import ASKED
from db.models import (
    UNANSWERED,
    Annotation,
    AnnotationState,
    Question,
    QuestionState,
    Sample,
    SampleStatus,
)
from db.outbox import release, withdraw

WITH_TEXT = (Modality.TEXT, Modality.MULTIMODAL)
"""Passes that show the transcript."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A closed question whose raters saw another transcript than the sample has now."""

    sample_id: str
    modality: Modality
    text: str


def ask_again_with_new_text(session: Session, passes: Sequence[Modality]) -> int:
    """Withdraw open questions that show an outdated transcript, and queue them again.

    Answers to the withdrawn questions stay stored. Text questions about samples whose transcript is now empty
    are withdrawn only, including unsent ones. Returns how many open questions were withdrawn.
    """
    query = (
        select(Question, Sample.transcript)
        .join(Sample, Sample.id == Question.sample_id)
        .where(
            Question.state == QuestionState.OPEN,
            Question.modality.in_(WITH_TEXT),
            Question.transcript.is_not(None),
            Question.transcript != Sample.transcript,
        )
        .order_by(Question.id)
    )
    outdated = list(session.execute(query))
    withdraw(session, [item.id for item, _ in outdated], "the transcript of its sample was corrected")
    wordless = (
        select(Question.id)
        .join(Sample, Sample.id == Question.sample_id)
        .where(
            Question.state.in_((QuestionState.QUEUED, QuestionState.HELD)),
            Question.modality == Modality.TEXT,
            func.trim(Sample.transcript) == "",
        )
    )
    withdraw(session, list(session.scalars(wordless)), "its sample has no transcript")
    session.flush()
    for item, text in outdated:
        wanted = item.modality in passes and (text.strip() or item.modality != Modality.TEXT)
        if wanted and not _is_asked(session, item.sample_id, Modality(item.modality), item.dimensions):
            _add(session, item, item.sample_id, passes)
    release(session, passes)
    return len(outdated)


def ask_about(session: Session, sample_id: str, instead_of: Sequence[str], passes: Sequence[Modality]) -> int:
    """Queue the questions about replaced samples for the new sample; returns how many.

    The new questions keep the role of the earlier ones; audit wins over the others, because models never
    learn from audit samples. Passes in which the new sample was asked before are skipped.
    """
    query = select(Question).where(Question.sample_id.in_(instead_of)).order_by(Question.id)
    earlier: defaultdict[str, list[Question]] = defaultdict(list)
    for item in session.scalars(query):
        earlier[item.modality].append(item)
    words = session.get_one(Sample, sample_id).transcript.strip()
    asked = 0
    for modality in passes:
        items = earlier.get(modality.value, [])
        if not items or (modality is Modality.TEXT and not words) or _is_asked(session, sample_id, modality):
            continue
        audit = [item for item in items if item.role == Role.AUDIT]
        _add(session, (audit or items)[-1], sample_id, passes, same_draw=len(instead_of) == 1)
        asked += 1
    release(session, passes)
    return asked


def _is_asked(session: Session, sample_id: str, modality: Modality, dimensions: str = "") -> bool:
    """Whether a question of the pass is unanswered, or one about the same dimensions is closed."""
    alike = (Question.state == QuestionState.CLOSED) & (Question.dimensions == dimensions)
    query = select(Question.id).where(
        Question.sample_id == sample_id,
        Question.modality == modality,
        Question.state.in_(UNANSWERED) | alike,
    )
    return session.scalar(query.limit(1)) is not None


def _add(
    session: Session,
    earlier: Question,
    sample_id: str,
    passes: Sequence[Modality],
    *,
    same_draw: bool = True,
) -> None:
    """Add a question like an earlier one, with its own key; the multimodal pass waits for the others.

    For another sample it asks every dimension, because nobody has judged that sample yet.
    """
    whole = earlier.modality == Modality.MULTIMODAL and len(passes) > 1
    number = session.scalar(select(func.max(Question.id))) or 0
    key = hashlib.sha256(f"{earlier.key}:{sample_id}:{number}".encode()).hexdigest()[:20]
    session.add(
        Question(
            batch_id=earlier.batch_id, sample_id=sample_id, modality=earlier.modality, role=earlier.role,
            rank=earlier.rank, score=earlier.score, key=key,
            inclusion_probability=earlier.inclusion_probability if same_draw else None,
            state=QuestionState.HELD if whole else QuestionState.QUEUED,
            dimensions=earlier.dimensions if earlier.sample_id == sample_id else "",
        )
    )  # fmt: skip
    session.flush()


def without_known_text(session: Session) -> dict[tuple[int, str], list[str]]:
    """Keys of open questions without a recorded text, by (Label Studio project, pass)."""
    item = Question
    query = select(item.ls_project_id, item.modality, item.key).where(
        item.state == QuestionState.OPEN,
        item.modality.in_(WITH_TEXT),
        item.transcript.is_(None),
        item.ls_project_id.is_not(None),
    )
    keys: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for project, modality, key in session.execute(query.order_by(item.id)):
        keys[int(project or 0), modality].append(key)
    return dict(keys)


def note_texts(session: Session, texts: Mapping[str, str]) -> None:
    """Record the text that questions (by key) show, unless it is recorded already."""
    for key, text in texts.items():
        session.execute(
            update(Question)
            .where(Question.key == key, Question.modality.in_(WITH_TEXT), Question.transcript.is_(None))
            .values(transcript=text)
        )


def judged_on_other_text(session: Session) -> list[Judged]:
    """Closed questions about active samples whose raters saw another text, ordered by sample and pass.

    Questions that were asked again with the present text are left out.
    """
    item, later = Question, aliased(Question)
    asked_again = exists().where(
        later.sample_id == item.sample_id, later.modality == item.modality, later.id > item.id,
        later.state.in_(ASKED), later.dimensions.in_(("", item.dimensions)),
    )  # fmt: skip
    query = (
        select(item.sample_id, item.modality, item.transcript)
        .join(Sample, Sample.id == item.sample_id)
        .where(item.modality.in_(WITH_TEXT), item.state == QuestionState.CLOSED, ~asked_again)
        .where(item.transcript.is_not(None), item.transcript != Sample.transcript)
        .where(Sample.status == SampleStatus.OK)
    )
    judged = [Judged(s, Modality(m), text or "") for s, m, text in session.execute(query)]
    return sorted(judged, key=lambda question: (question.sample_id, question.modality.value))


def judged_texts(session: Session) -> dict[str, dict[str, tuple[str, ...]]]:
    """The sorted texts that the answers which count now were given to, by sample id and pass.

    A pass is absent if it is unknown what its raters saw.
    """
    row, item = Annotation, Question
    query = (
        select(
            row.id, row.batch_item_id, row.origin, row.task_id, row.sample_id, row.annotator_id, row.state,
            row.created_at, item.modality, item.transcript,
        )
        .join(item, item.id == row.batch_item_id)
        .where(item.modality.in_(WITH_TEXT), row.state != AnnotationState.EDITED)
        .order_by(row.id)
    )  # fmt: skip
    revisions = {(r.batch_item_id, r.origin, r.task_id): r for r in session.execute(query)}
    text_of_answer: dict[tuple[str, str, int, str], str | None] = {}
    for r in sorted(revisions.values(), key=lambda r: (r.created_at, r.id)):
        if r.state == AnnotationState.ANSWERED:
            text_of_answer[r.sample_id, r.task_id, r.annotator_id, r.modality] = r.transcript
    texts_of_sample: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for (sample_id, _, _, modality), text in text_of_answer.items():
        if text is not None:
            texts_of_sample[sample_id][modality].add(text)
    return {
        sample_id: {modality: tuple(sorted(texts)) for modality, texts in by_pass.items()}
        for sample_id, by_pass in texts_of_sample.items()
    }
