"""Makes the labels from the annotations whenever those change, and compares stored labels with them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from annotate.consensus.defaults import default_aggregator
from annotate.types import Aggregate, Task
from db import labels, votes
from db.chunks import chunks
from db.engine import Session


def rebuild_labels(session: Session, tasks: Sequence[Task], sample_ids: Collection[str] | None = None) -> int:
    """Make the labels of `tasks` again, for all samples or for these; returns the number of labels.

    The latest live answer of each rater counts. The labels of a task whose aggregator learns about raters are
    always made for all samples, so that they do not depend on the order in which answers arrive.
    """
    made = 0
    for part_tasks, part_ids, aggregates in _aggregated(session, tasks, sample_ids):
        labels.put_labels(session, [task.id for task in part_tasks], part_ids, aggregates)
        made += len(aggregates)
    return made


def _aggregated(
    session: Session, tasks: Sequence[Task], sample_ids: Collection[str] | None
) -> Iterator[tuple[Sequence[Task], Collection[str], dict[tuple[str, str], Aggregate]]]:
    """Tasks, sample ids, and the labels aggregated from the live answers, by (sample id, task id).

    Samples come in chunks if the aggregator allows it, because the votes of a large corpus need much memory.
    """
    per_sample = [task for task in tasks if default_aggregator(task.dimension.kind).per_sample]
    jointly = [task for task in tasks if task not in per_sample]
    every: Collection[str] = ()
    if sample_ids is None or jointly:
        every = sorted(votes.judged_samples(session) | labels.labelled_samples(session))
    for chunk in chunks(sorted(every if sample_ids is None else sample_ids)):
        yield per_sample, chunk, _aggregates(session, per_sample, chunk)
    if jointly:
        yield jointly, every, _aggregates(session, jointly, every)


def _aggregates(
    session: Session, tasks: Sequence[Task], sample_ids: Collection[str]
) -> dict[tuple[str, str], Aggregate]:
    votes_of_task: dict[str, dict[str, Mapping[int, str]]] = {task.id: {} for task in tasks}
    for (sample_id, task_id), answers in votes.answers_by_rater(session, tasks, sample_ids).items():
        votes_of_task[task_id][sample_id] = answers
    aggregates: dict[tuple[str, str], Aggregate] = {}
    for task in tasks:
        aggregator = default_aggregator(task.dimension.kind)
        results = aggregator.fit_predict(task.dimension, votes_of_task[task.id])
        aggregates |= {(sample_id, task.id): result for sample_id, result in results.items()}
    return aggregates


@dataclass(frozen=True, slots=True)
class LabelDifference:
    """A stored label that differs from the one aggregated from the annotations."""

    sample_id: str
    task_id: str
    stored: str
    """The value and the number of raters, such as ``0.5 by 2``; empty when no label is stored."""
    rebuilt: str
    """The same for the aggregated label; empty when there is none."""


def label_differences(session: Session, tasks: Sequence[Task]) -> list[LabelDifference]:
    """Compare the stored human labels of `tasks` with those aggregated from all annotations; writes nothing.

    Ordered by sample and task. Empty after every write of annotations, unless the database is damaged.
    """
    stored = labels.stored_aggregates(session, [task.id for task in tasks])
    rebuilt: dict[tuple[str, str], Aggregate] = {}
    for _, _, aggregates in _aggregated(session, tasks, None):
        rebuilt |= aggregates
    return [
        LabelDifference(*key, _described(stored.get(key)), _described(rebuilt.get(key)))
        for key in sorted(stored.keys() | rebuilt.keys())
        if stored.get(key) != rebuilt.get(key)
    ]


def _described(label: Aggregate | None) -> str:
    return "" if label is None else f"{label.value} by {label.raters}"
