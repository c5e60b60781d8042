"""What people said and who said what, as the numbers that a pool holds."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.types import Kind, Label, Task


def numbers(
    tasks: Sequence[Task], sample_ids: Sequence[str], labels: Iterable[Label]
) -> dict[str, NDArray[np.float64]]:
    """By task id: labels of these samples, as `Known.labels` has them; those of others are passed over."""
    position = {sample_id: i for i, sample_id in enumerate(sample_ids)}
    by_id = {task.id: task for task in tasks}
    found = {task.id: _nothing(task, len(sample_ids)) for task in tasks}
    for label in labels:
        task = by_id.get(label.task_id)
        if task is not None and label.sample_id in position:
            found[task.id][position[label.sample_id]] = _as_number(task, label.value)
    return found


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
