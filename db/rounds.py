"""Rounds: the labels that models learn from, and the record of each trained model."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from annotate.types import Label, Split
from db.labels import read_labels
from db.models import Label as LabelRow
from db.models import Round, Sample, SampleStatus


def labels_by_split(session: Session) -> list[tuple[Split, Label]]:
    """Human labels of active samples with their split, ordered by sample and task."""
    query = select(Sample.id, Sample.split).where(
        Sample.status == SampleStatus.OK, Sample.split.is_not(None), Sample.id.in_(select(LabelRow.sample_id))
    )
    splits = {sample_id: Split(str(split)) for sample_id, split in session.execute(query)}
    return [(splits[label.sample_id], label) for label in read_labels(session) if label.sample_id in splits]


def round_of(session: Session, labels_hash: str) -> Round | None:
    """The newest round with this hash of labels, features and settings, if there is one."""
    query = select(Round).where(Round.labels_hash == labels_hash).order_by(Round.id.desc()).limit(1)
    return session.scalars(query).first()


def get_round(session: Session, round_id: int) -> Round | None:
    """The round with that id."""
    return session.get(Round, round_id)


def next_round_id(session: Session) -> int:
    """One more than the highest id so far."""
    return (session.scalar(select(func.max(Round.id))) or 0) + 1


def model_folders(session: Session) -> set[str]:
    """The model folders of all rounds, relative to the models folder."""
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
    """Record a model whose folder exists; returns its id."""
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
