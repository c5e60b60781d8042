"""Describes a batch: its mix of classes and speakers, its duplicates and its conflicts between modalities."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from annotate.simulation.replay_data import ReplayData
from annotate.types import Kind, Modality

SAME = 1e-6
"""Two samples are duplicates below this squared distance, as a share of the pool's mean square."""


def of_batch(data: ReplayData, rows: Sequence[int], before: Sequence[int]) -> dict[str, float | None]:
    """Figures about the batch of the pool samples `rows`, after those `before`; None where one is undefined.

    ``classes``: entropy of the batch's labels over that of the pool's, mean over the tasks (1: as mixed as
    the pool; for regression, the ratio of the standard deviations). ``speakers``: effective number of
    speakers, as a share of the highest number possible. ``duplicates``: share of samples at the position of
    another sample of the batch or of an earlier one. ``conflict``: how far the labels of one dimension
    contradict each other between modalities, relative to the pool.
    """
    if not rows:
        return dict.fromkeys(("classes", "speakers", "duplicates", "conflict"))
    everyone = range(len(data.pool))
    return {
        "classes": _ratio(_spread(data, rows), _spread(data, everyone)),
        "speakers": _speakers(data, rows),
        "duplicates": _duplicates(data, rows, before),
        "conflict": _ratio(_conflict(data, rows), _conflict(data, everyone)),
    }


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _spread(data: ReplayData, rows: Sequence[int]) -> float | None:
    spreads = []
    for task in data.tasks:
        values = [data.labels[data.pool[row], task.id].value for row in rows]
        if task.dimension.kind is Kind.REGRESSION:
            spreads.append(float(np.std([float(value) for value in values])))
        else:
            spreads.append(_entropy(list(Counter(values).values())))
    return float(np.mean(spreads)) if spreads else None


def _entropy(counts: Sequence[int]) -> float:
    shares = np.array(counts) / sum(counts)
    return float(-(shares * np.log(shares)).sum())


def _speakers(data: ReplayData, rows: Sequence[int]) -> float | None:
    groups = data.groups.get("speaker")
    if groups is None:
        return None
    most = min(len(rows), len(np.unique(groups)))
    counts = np.unique(groups[list(rows)], return_counts=True)[1]
    return float(np.exp(_entropy(counts.tolist())) / most)


def _duplicates(data: ReplayData, rows: Sequence[int], before: Sequence[int]) -> float:
    points = data.embeddings.astype(np.float64)
    limit = SAME * float((points**2).sum(axis=1).mean())
    near = 0
    for k, row in enumerate(rows):
        others = points[[other for other in (*before, *rows[:k]) if other != row]]
        near += bool(len(others)) and bool((((others - points[row]) ** 2).sum(axis=1) <= limit).any())
    return near / len(rows)


def _conflict(data: ReplayData, rows: Sequence[int]) -> float | None:
    """Regression: the spread of T, A, V over the width of the scale; classes: the share of unequal pairs."""
    conflicts = []
    for name in dict.fromkeys(task.dimension.name for task in data.tasks):
        tasks = [t for t in data.tasks if t.dimension.name == name and t.modality is not Modality.MULTIMODAL]
        if len(tasks) < 2:
            continue
        for row in rows:
            values = [data.labels[data.pool[row], task.id].value for task in tasks]
            dimension = tasks[0].dimension
            if dimension.kind is Kind.REGRESSION:
                numbers = [float(value) for value in values]
                conflicts.append(float(np.std(numbers)) / (dimension.high - dimension.low))
            else:
                pairs = [a != b for i, a in enumerate(values) for b in values[:i]]
                conflicts.append(float(np.mean(pairs)))
    return float(np.mean(conflicts)) if conflicts else None
