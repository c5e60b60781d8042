"""Labels: the agreed value of a task of a sample, made again from the annotations whenever those change."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum, isnan
from typing import Any, cast

from sqlalchemy import Table, delete, func, insert, select
from sqlalchemy.orm import Session

from annotate import types
from annotate.types import Dimension, Kind, Task
from db.chunks import chunks
from db.models import Annotation, AnnotationState, Label, Sample, SampleStatus

HUMAN = "human"


def rebuild_labels(session: Session, tasks: Sequence[Task], sample_ids: Collection[str] | None = None) -> int:
    """Make the labels of `tasks` again, of all samples or of these; says how many there are of them.

    The latest live answer of each rater counts. Regression: their mean. Classification: the majority;
    of equals, the answer that stands first in the dimension. Multilabel: what at least half ticked.
    """
    if sample_ids is None:
        ids = sorted(set(session.scalars(select(Annotation.sample_id).union(select(Label.sample_id)))))
    else:
        ids = sorted(sample_ids)
    by_id = {task.id: task for task in tasks}
    made = 0
    for some in chunks(ids):
        session.execute(
            delete(Label).where(
                Label.origin == HUMAN, Label.sample_id.in_(some), Label.task_id.in_(list(by_id))
            )
        )
        answers = _answers(session, some, by_id)
        rows = [_row(s, by_id[t], list(given.values())) for (s, t), given in sorted(answers.items())]
        if rows:
            # Into the bare table: nobody needs an object for each.
            session.execute(insert(cast(Table, Label.__table__)), rows)
        made += len(rows)
    session.flush()
    return made


@dataclass(frozen=True, slots=True)
class LabelDifference:
    """A stored label that is not what the annotations say."""

    sample_id: str
    task_id: str
    stored: str
    """The value, and how many raters made it; empty when there is no stored label."""
    rebuilt: str
    """The same of the label that the annotations make; empty when they make none."""


def label_differences(session: Session, tasks: Sequence[Task]) -> list[LabelDifference]:
    """Compare the stored human labels of `tasks` with those that all annotations make; changes nothing.

    Ordered by sample and task. Every write of annotations has to leave this empty.
    """
    by_id = {task.id: task for task in tasks}
    stored = {
        (row.sample_id, row.task_id): _facts(row)
        for row in session.scalars(select(Label).where(Label.origin == HUMAN, Label.task_id.in_(list(by_id))))
    }
    rebuilt: dict[tuple[str, str], tuple[Any, ...]] = {}
    for some in chunks(sorted(session.scalars(select(Annotation.sample_id).distinct()))):
        for (sample_id, task_id), said in _answers(session, some, by_id).items():
            rebuilt[sample_id, task_id] = _facts(label(sample_id, by_id[task_id], list(said.values())))
    return [
        LabelDifference(*key, _described(stored.get(key)), _described(rebuilt.get(key)))
        for key in sorted(stored.keys() | rebuilt.keys())
        if stored.get(key) != rebuilt.get(key)
    ]


def _facts(row: Label) -> tuple[Any, ...]:
    return row.number, row.category, dict(row.distribution), row.confidence, row.raters


def _described(facts: tuple[Any, ...] | None) -> str:
    if facts is None:
        return ""
    number, category, *_, raters = facts
    return f"{category if number is None else number} by {raters}"


def label(sample_id: str, task: Task, said: Sequence[str]) -> Label:
    """What these answers, one per rater and at least one, agree on."""
    return Label(**_row(sample_id, task, said))


def _row(sample_id: str, task: Task, said: Sequence[str]) -> dict[str, Any]:
    agreed = {Kind.REGRESSION: _mean, Kind.CLASSIFICATION: _majority, Kind.MULTILABEL: _half}
    found = agreed[task.dimension.kind](task.dimension, said)
    return {
        "sample_id": sample_id,
        "task_id": task.id,
        "origin": HUMAN,
        "number": found.value if isinstance(found.value, float) else None,
        "category": found.value if isinstance(found.value, str) else None,
        "distribution": found.distribution,
        "confidence": found.confidence,
        "raters": len(said),
    }


@dataclass(frozen=True, slots=True)
class _Agreed:
    value: float | str
    distribution: dict[str, float]
    confidence: float


def _shares(dimension: Dimension, aliases: Sequence[str], raters: int) -> dict[str, float]:
    """By answer, in the order of the dimension: the share of the raters who gave it."""
    counts = Counter(aliases)
    return {a.alias: counts[a.alias] / raters for a in dimension.answers}


def _mean(dimension: Dimension, said: Sequence[str]) -> _Agreed:
    numbers = [number for one in said if (number := dimension.number(one)) is not None]
    parts = [dimension.near(number) for number in numbers]
    sums = {a.alias: fsum(part.get(a.alias, 0.0) for part in parts) / len(parts) for a in dimension.answers}
    return replace(_most(sums), value=fsum(numbers) / len(numbers))


def _majority(dimension: Dimension, said: Sequence[str]) -> _Agreed:
    return _most(_shares(dimension, said, len(said)))


def _most(shares: Mapping[str, float]) -> _Agreed:
    given = {alias: share for alias, share in shares.items() if share}
    top = max(given, key=lambda alias: given[alias])  # the first of equals
    return _Agreed(top, given, given[top])


def _half(dimension: Dimension, said: Sequence[str]) -> _Agreed:
    ticks = [alias for value in said for alias in dimension.ticked(value)]
    shares = _shares(dimension, ticks, len(said))
    value = dimension.joined([alias for alias, share in shares.items() if share >= 0.5])
    return _Agreed(value, shares, fsum(max(share, 1 - share) for share in shares.values()) / len(shares))


def _answers(
    session: Session, sample_ids: Sequence[str], tasks: Mapping[str, Task]
) -> dict[tuple[str, str], dict[int, str]]:
    """By (sample, task): what each rater says now."""
    latest: dict[tuple[int | None, str, str], Any] = {}
    said = Annotation
    # Not whole rows: what the server sent is the most of one, and takes the longest to read.
    query = select(
        said.id, said.origin, said.sample_id, said.task_id, said.annotator_id, said.state, said.value,
        said.created_at, said.batch_item_id,
    ).where(
        said.sample_id.in_(sample_ids), said.task_id.in_(list(tasks)), said.state != AnnotationState.EDITED
    )  # fmt: skip
    for row in session.execute(query.order_by(said.id)):
        # A restored server gives the number of an answer to an answer of another question.
        latest[row.batch_item_id, row.origin, row.task_id] = row
    found: dict[tuple[str, str], dict[int, str]] = {}
    # Of two live answers of one rater the newer one counts.
    for row in sorted(latest.values(), key=lambda row: (row.created_at, row.id)):
        known = row.value is not None and _usable(tasks[row.task_id].dimension, row.value)
        if row.state == AnnotationState.ANSWERED and row.value is not None and known:
            found.setdefault((row.sample_id, row.task_id), {})[row.annotator_id] = row.value
    return found


def _usable(dimension: Dimension, value: str) -> bool:
    """Whether it is an answer, or a number on the scale that somebody else found by averaging."""
    return dimension.takes(value) or dimension.number(value) is not None


def read_labels(session: Session) -> list[types.Label]:
    """What people agreed on, ordered by sample id and task id; a label without a value (or NaN) is none."""
    found = []
    for row in session.scalars(select(Label).where(Label.origin == HUMAN)):
        value = row.category if row.number is None or isnan(row.number) else row.number
        if value is not None:
            found.append(types.Label(row.sample_id, row.task_id, value, dict(row.distribution), row.raters))
    # Ordered here: the databases do not agree on the order of text.
    return sorted(found, key=lambda label: (label.sample_id, label.task_id))


def count_labels(session: Session) -> dict[str, int]:
    """By task id: labels of samples that take part, as `annotate status` counts them."""
    query = (
        select(Label.task_id, func.count())
        .join(Sample, Sample.id == Label.sample_id)
        .where(Label.origin == HUMAN, Sample.status == SampleStatus.OK)
        .group_by(Label.task_id)
    )
    return dict(sorted((task_id, count) for task_id, count in session.execute(query)))
