"""Labels and votes as the arrays of a pool."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.types import Kind, Label, Task, Votes


def label_arrays(
    tasks: Sequence[Task], sample_ids: Sequence[str], labels: Iterable[Label]
) -> dict[str, NDArray[np.float64]]:
    """Labels of these samples by task id, as in `LabeledSet.labels`; those of others are ignored."""
    position = {sample_id: i for i, sample_id in enumerate(sample_ids)}
    by_id = {task.id: task for task in tasks}
    arrays = {}
    for task in tasks:
        classes = [len(task.dimension.answers)] if task.dimension.kind is Kind.MULTILABEL else []
        arrays[task.id] = np.full((len(sample_ids), *classes), np.nan)
    for label in labels:
        labelled_task = by_id.get(label.task_id)
        if labelled_task is not None and label.sample_id in position:
            arrays[label.task_id][position[label.sample_id]] = _as_number(labelled_task, label.value)
    return arrays


def vote_arrays(
    tasks: Sequence[Task], sample_ids: Sequence[str],
    answers: Mapping[tuple[str, str], Sequence[tuple[int, str]]],
) -> dict[str, Votes]:  # fmt: skip
    """By id of each classification task: the answers of raters about these samples.

    `answers` holds (number of the rater, answer) by (sample id, task id).
    """
    position = {sample_id: i for i, sample_id in enumerate(sample_ids)}
    numbers_of = {
        task.id: {answer.alias: number for number, answer in enumerate(task.dimension.answers)}
        for task in tasks
        if task.dimension.kind is Kind.CLASSIFICATION
    }
    votes: dict[str, list[tuple[int, int, int]]] = {task_id: [] for task_id in numbers_of}
    for (sample_id, task_id), given in sorted(answers.items()):
        if task_id in votes and sample_id in position:
            numbers = numbers_of[task_id]
            votes[task_id] += [(position[sample_id], rater, numbers[a]) for rater, a in given if a in numbers]
    return {
        task_id: Votes(*np.array(rows, dtype=np.intp).reshape(-1, 3).T) for task_id, rows in votes.items()
    }


def numbered(names: Sequence[str]) -> NDArray[np.intp]:
    """(n,) the same number for the same name."""
    return np.asarray(np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1], dtype=np.intp)


def _as_number(task: Task, value: float | str) -> float | list[bool]:
    """The value as stored in an array; NaN if it is no longer an answer of the task."""
    dimension = task.dimension
    if dimension.kind is Kind.REGRESSION:
        return np.nan if isinstance(value, str) else float(value)
    aliases = [answer.alias for answer in dimension.answers]
    if dimension.kind is Kind.MULTILABEL:
        ticked = dimension.ticked(str(value))
        return [alias in ticked for alias in aliases]
    return aliases.index(str(value)) if str(value) in aliases else np.nan
