"""What people said and who said what, as the numbers that a pool holds."""

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
    found = {task.id: _nothing(task, len(sample_ids)) for task in tasks}
    for label in labels:
        task = by_id.get(label.task_id)
        if task is not None and label.sample_id in position:
            found[task.id][position[label.sample_id]] = _as_number(task, label.value)
    return found


def vote_arrays(
    tasks: Sequence[Task], sample_ids: Sequence[str],
    said: Mapping[tuple[str, str], Sequence[tuple[int, str]]],
) -> dict[str, Votes]:  # fmt: skip
    """By id of each classification task: what raters said of these samples; `said` holds (number of the
    rater, answer) by (sample id, task id)."""
    position = {sample_id: i for i, sample_id in enumerate(sample_ids)}
    numbers_of = {
        task.id: {answer.alias: number for number, answer in enumerate(task.dimension.answers)}
        for task in tasks
        if task.dimension.kind is Kind.CLASSIFICATION
    }
    found: dict[str, list[tuple[int, int, int]]] = {task_id: [] for task_id in numbers_of}
    for (sample_id, task_id), given in sorted(said.items()):
        if task_id in found and sample_id in position:
            known = numbers_of[task_id]
            found[task_id] += [(position[sample_id], who, known[a]) for who, a in given if a in known]
    return {
        task_id: Votes(*np.array(rows, dtype=np.intp).reshape(-1, 3).T) for task_id, rows in found.items()
    }


def numbered(names: Sequence[str]) -> NDArray[np.intp]:
    """(n,) the same number for the same name."""
    return np.asarray(np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1], dtype=np.intp)


def _nothing(task: Task, n: int) -> NDArray[np.float64]:
    several = task.dimension.kind is Kind.MULTILABEL
    return np.full((n, len(task.dimension.answers)) if several else n, np.nan)


def _as_number(task: Task, value: float | str) -> float | list[bool]:
    """NaN for what is no answer any more."""
    dimension = task.dimension
    if dimension.kind is Kind.REGRESSION:
        return np.nan if isinstance(value, str) else float(value)
    aliases = [answer.alias for answer in dimension.answers]
    if dimension.kind is Kind.MULTILABEL:
        ticked = dimension.ticked(str(value))
        return [alias in ticked for alias in aliases]
    return aliases.index(str(value)) if str(value) in aliases else np.nan
