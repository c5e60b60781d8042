"""Rounds: what a model learns from, and the record of each model."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from annotate.types import Label, Split
from db.models import Label as LabelRow
from db.models import Round, Sample, SampleStatus


def human_labels_by_split(session: Session) -> list[tuple[Split, Label]]:
    """Labels made by people on the samples that take part, ordered by sample and task."""
    query = (
        select(Sample.split, LabelRow)
        .join(LabelRow, LabelRow.sample_id == Sample.id)
        .where(Sample.status == SampleStatus.OK, Sample.split.is_not(None), LabelRow.origin == "human")
        .where(LabelRow.number.is_not(None) | LabelRow.category.is_not(None))
    )
    found = [(Split(str(split)), _label(row)) for split, row in session.execute(query)]
    # In Python: the databases do not agree on the order of text.
    return sorted(found, key=lambda pair: (pair[1].sample_id, pair[1].task_id))


def _label(row: LabelRow) -> Label:
    value = row.category if row.number is None else row.number
    return Label(row.sample_id, row.task_id, value or 0.0, row.distribution, row.raters)


def round_of(session: Session, labels_hash: str) -> Round | None:
    """The newest round trained on exactly this, if there is one."""
    query = select(Round).where(Round.labels_hash == labels_hash).order_by(Round.id.desc()).limit(1)
    return session.scalars(query).first()


def get_round(session: Session, round_id: int) -> Round | None:
    """The round with that id."""
    return session.get(Round, round_id)


def next_round_id(session: Session) -> int:
    """One more than the highest id so far."""
    return (session.scalar(select(func.max(Round.id))) or 0) + 1


def model_folders(session: Session) -> set[str]:
    """The folders that some round owns, relative to the models folder."""
    return set(session.scalars(select(Round.model)))


def add_round(
    session: Session,
    *,
    seed: int,
    labels_hash: str,
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
    model: str,
    seconds: float,
) -> int:
    """Record a model whose folder is in place; its id."""
    row = Round(
        seed=seed,
        labels_hash=labels_hash,
        settings=dict(settings),
        metrics=dict(metrics),
        model=model,
        seconds=seconds,
    )
    session.add(row)
    session.flush()
    return row.id
