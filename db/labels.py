"""Stores and reads labels; `annotate.labelling.labels` makes them from the annotations."""

from collections.abc import Collection, Mapping
from math import isnan, nan
from typing import cast

from sqlalchemy import Table, delete, func, insert, select
from sqlalchemy.orm import Session

from annotate import types
from annotate.types import Aggregate
from db.chunks import chunks
from db.models import Label, Sample, SampleStatus

HUMAN = "human"


def put_labels(
    session: Session,
    task_ids: Collection[str],
    sample_ids: Collection[str],
    aggregates: Mapping[tuple[str, str], Aggregate],
) -> None:
    """Replace the human labels of these tasks of these samples by `aggregates`, by (sample id, task id).

    A task of a sample that is not among `aggregates` has no label afterwards.
    """
    for chunk in chunks(sorted(sample_ids)):
        session.execute(
            delete(Label).where(
                Label.origin == HUMAN, Label.sample_id.in_(chunk), Label.task_id.in_(list(task_ids))
            )
        )
    rows = [
        {
            "sample_id": sample_id,
            "task_id": task_id,
            "origin": HUMAN,
            "number": label.value if isinstance(label.value, float) else None,
            "category": label.value if isinstance(label.value, str) else None,
            "distribution": dict(label.distribution),
            "confidence": label.confidence,
            "raters": label.raters,
        }
        for (sample_id, task_id), label in sorted(aggregates.items())
    ]
    if rows:
        # The table and not the mapped class: no caller needs an object for each row.
        session.execute(insert(cast(Table, Label.__table__)), rows)
    session.flush()


def labelled_samples(session: Session) -> set[str]:
    """Ids of the samples that have a human label."""
    return set(session.scalars(select(Label.sample_id).where(Label.origin == HUMAN).distinct()))


def stored_aggregates(session: Session, task_ids: Collection[str]) -> dict[tuple[str, str], Aggregate]:
    """The human labels of some tasks by (sample id, task id); a label without a value has the value NaN."""
    labels = {}
    for row in session.scalars(select(Label).where(Label.origin == HUMAN, Label.task_id.in_(list(task_ids)))):
        value = row.category if row.number is None else row.number
        labels[row.sample_id, row.task_id] = Aggregate(
            nan if value is None else value, dict(row.distribution), row.confidence, row.raters
        )
    return labels


def read_labels(session: Session) -> list[types.Label]:
    """The human labels, ordered by sample id and task id, without those that have no value (or NaN)."""
    labels = []
    for row in session.scalars(select(Label).where(Label.origin == HUMAN)):
        value = row.category if row.number is None or isnan(row.number) else row.number
        if value is not None:
            labels.append(types.Label(row.sample_id, row.task_id, value, dict(row.distribution), row.raters))
    # Ordered here: the databases do not agree on the order of text.
    return sorted(labels, key=lambda label: (label.sample_id, label.task_id))


def count_labels(session: Session) -> dict[str, int]:
    """How many labels of active samples each task has, as `annotate status` counts them."""
    query = (
        select(Label.task_id, func.count())
        .join(Sample, Sample.id == Label.sample_id)
        .where(Label.origin == HUMAN, Sample.status == SampleStatus.OK)
        .group_by(Label.task_id)
    )
    return dict(sorted((task_id, count) for task_id, count in session.execute(query)))
