"""Counts of videos, samples, features, questions, answers, labels, models and exports."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, case, exists, func, select
from sqlalchemy.orm import Session, aliased

from annotate.types import Task
from db import models
from db.chunks import chunks
from db.models import UNANSWERED, AnnotationState, QuestionState, SampleStatus


@dataclass(frozen=True, slots=True)
class RoundFact:
    """One trained model."""

    id: int
    metrics: dict[str, Any]
    """By split, by task id, by metric."""
    seconds: float


def videos(session: Session) -> list[tuple[str, str, int]]:
    """(status, reason, videos); removed videos have the status ``removed`` and no reason."""
    video = models.Video
    removed = video.removed_at.is_not(None)
    status, reason = (
        case((removed, word), else_=own) for word, own in (("removed", video.status), ("", video.reason))
    )
    rows = select(status.label("status"), reason.label("reason")).subquery()
    return _rows(
        session, select(rows.c.status, rows.c.reason, func.count()).group_by(rows.c.status, rows.c.reason)
    )


def unreadable_files(session: Session) -> int:
    """How many files could not be read, so that there is no video for them."""
    file = models.VideoFile
    return session.scalar(select(func.count()).where(file.video_sha256.is_(None))) or 0


def samples(session: Session) -> dict[str, int]:
    """Active samples by split; those without a split are under an empty name."""
    sample = models.Sample
    query = select(sample.split, func.count()).where(sample.status == SampleStatus.OK).group_by(sample.split)
    return {split or "": n for split, n in session.execute(query)}


def rejected(session: Session) -> list[tuple[str, int]]:
    """(check, samples that it rejects); a sample may break several rules."""
    return _rows(session, _rejected())


def rejected_of(session: Session, sha256s: Sequence[str]) -> list[tuple[str, int]]:
    """The same for the samples of these videos only."""
    total: Counter[str] = Counter()
    for chunk in chunks(sha256s):
        for check, count in session.execute(_rejected().where(models.Sample.video_sha256.in_(chunk))):
            total[check] += count
    return sorted(total.items())


def _rejected() -> Select[str, int]:
    check, sample = models.SampleCheck, models.Sample
    return (
        select(check.name, func.count())
        .join(sample, sample.id == check.sample_id)
        .where(~check.passed, sample.status == SampleStatus.REJECTED)
        .group_by(check.name)
    )


def featured(session: Session, extractors: set[str]) -> int:
    """How many active samples have features of all `extractors` (``name@hash``)."""
    feature, sample = models.Feature, models.Sample
    whole = (
        select(feature.sample_id)
        .join(sample, sample.id == feature.sample_id)
        .where(sample.status == SampleStatus.OK, feature.extractor.in_(extractors))
        .group_by(feature.sample_id)
        .having(func.count() == len(extractors))
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(whole)) or 0


def labels(session: Session) -> list[tuple[str, str, str, int]]:
    """(task id, origin, split, labels) of active samples."""
    label, sample = models.Label, models.Sample
    keys = (label.task_id, label.origin, func.coalesce(sample.split, ""))
    return _rows(
        session,
        select(*keys, func.count())
        .join(sample, sample.id == label.sample_id)
        .where(sample.status == SampleStatus.OK)
        .group_by(*keys),
    )


def questions(session: Session) -> list[tuple[str, str, int]]:
    """(pass, name of the state, questions)."""
    item = models.Question
    query = select(item.modality, item.state, func.count()).group_by(item.modality, item.state)
    return sorted((m, QuestionState(s).name.lower(), n) for m, s, n in session.execute(query))


def judged_without(session: Session, task: Task, others: Sequence[str], *, to_ask: bool = False) -> int:
    """How many samples with a closed question in the pass of `task` have labels of `others`, but not of it.

    With `to_ask`, samples are left out that have an unanswered question in the pass or were asked for this
    task alone before: the rest is what `annotate next-batch --tasks` can ask.
    """
    sample, item, label = models.Sample, models.Question, models.Label
    own = exists().where(label.sample_id == sample.id)
    asked = exists().where(item.sample_id == sample.id, item.modality == task.modality)
    answered = asked.where(
        item.state == QuestionState.CLOSED,
        ("," + item.dimensions + ",").contains(f",{task.dimension.name},", autoescape=True),
    )
    query = select(func.count(sample.id.distinct())).where(
        sample.status == SampleStatus.OK,
        asked.where(item.state == QuestionState.CLOSED),
        own.where(label.task_id.in_(others)),
        ~own.where(label.task_id == task.id),
    )
    if to_ask:
        query = query.where(~asked.where(item.state.in_(UNANSWERED)), ~answered)
    return session.scalar(query) or 0


def batches(session: Session) -> int:
    """How many batches were drawn."""
    return session.scalar(select(func.count()).select_from(models.Batch)) or 0


def rounds(session: Session, last: int) -> tuple[int, list[RoundFact]]:
    """How many models were trained, and the `last` newest of them, newest first."""
    model = models.Round
    query = select(model.id, model.metrics, model.seconds).order_by(model.id.desc()).limit(last)
    total = session.scalar(select(func.count()).select_from(model)) or 0
    return total, [RoundFact(*row) for row in session.execute(query)]


def annotators(session: Session) -> list[tuple[str, int, int, float | None]]:
    """(name, answers that count, skips, seconds spent on them), sorted by name."""
    row, later, who = models.Annotation, aliased(models.Annotation), models.Annotator
    counts = {state: func.count().filter(row.state == state) for state in AnnotationState}
    query = (
        select(
            who.name, counts[AnnotationState.ANSWERED], counts[AnnotationState.SKIPPED], func.sum(row.seconds)
        )
        .join(who, who.id == row.annotator_id)
        .outerjoin(
            later,
            (later.supersedes_id == row.id) & later.batch_item_id.is_not_distinct_from(row.batch_item_id),
        )
        .where(later.id.is_(None), row.state != models.AnnotationState.EDITED)
        .group_by(who.name)
    )
    return sorted((name, a, s, t) for name, a, s, t in session.execute(query))


def exports(session: Session) -> list[tuple[str, str, int]]:
    """(format, path, samples) of the newest export at each path."""
    export = models.Export
    newest = select(func.max(export.id)).group_by(export.path)
    query = select(export.format, export.path, export.samples).where(export.id.in_(newest))
    return _rows(session, query)


def still_good_export(session: Session) -> str | None:
    """The path of the newest export, if no answer and no other event came after it."""
    newest = session.scalars(select(models.Export).order_by(models.Export.id.desc()).limit(1)).first()
    if newest is None:
        return None
    answer = select(models.Annotation.id).where(models.Annotation.stored_at > newest.created_at)
    event = select(models.Event.id).where(models.Event.kind != "export", models.Event.at > newest.created_at)
    changed = any(session.scalar(query.limit(1)) is not None for query in (answer, event))
    return None if changed else newest.path


def _rows(session: Session, query: Any) -> list[Any]:
    return sorted(tuple(row) for row in session.execute(query))
