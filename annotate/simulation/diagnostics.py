"""What kind of batch was chosen: its classes, speakers, repeats and contradictions."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from annotate.simulation.world import World
from annotate.types import Kind, Modality

SAME = 1e-6
"""Squared distance, as a share of the pool's mean square, below which two samples are the same."""


def of_batch(world: World, rows: Sequence[int], before: Sequence[int]) -> dict[str, float | None]:
    """Of the pool samples `rows`, after those `before`; None where the world cannot tell.

    ``classes``: entropy of the batch's labels over that of the pool's, mean over the tasks with classes
    (1: as mixed as the pool; regression: its standard deviation over the pool's). ``speakers``: effective
    number of speakers, as a share of what so many samples can have. ``duplicates``: share of samples that lie
    where another one of the batch or before lies. ``conflict``: how far the modalities' labels of one
    dimension contradict each other, over the same of the pool.
    """
    if not rows:
        return dict.fromkeys(("classes", "speakers", "duplicates", "conflict"))
    everyone = range(len(world.pool))
    return {
        "classes": _ratio(_spread(world, rows), _spread(world, everyone)),
        "speakers": _speakers(world, rows),
        "duplicates": _duplicates(world, rows, before),
        "conflict": _ratio(_conflict(world, rows), _conflict(world, everyone)),
    }


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _spread(world: World, rows: Sequence[int]) -> float | None:
    found = []
    for task in world.tasks:
        values = [world.labels[world.pool[row], task.id].value for row in rows]
        if task.dimension.kind is Kind.REGRESSION:
            found.append(float(np.std([float(value) for value in values])))
        else:
            found.append(_entropy(list(Counter(values).values())))
    return float(np.mean(found)) if found else None


def _entropy(counts: Sequence[int]) -> float:
    shares = np.array(counts) / sum(counts)
    return float(-(shares * np.log(shares)).sum())


def _speakers(world: World, rows: Sequence[int]) -> float | None:
    groups = world.groups.get("speaker")
    if groups is None:
        return None
    most = min(len(rows), len(np.unique(groups)))
    counts = np.unique(groups[list(rows)], return_counts=True)[1]
    return float(np.exp(_entropy(counts.tolist())) / most)


def _duplicates(world: World, rows: Sequence[int], before: Sequence[int]) -> float:
    points = world.bare.astype(np.float64)
    limit = SAME * float((points**2).sum(axis=1).mean())
    near = 0
    for k, row in enumerate(rows):
        others = points[[other for other in (*before, *rows[:k]) if other != row]]
        near += bool(len(others)) and bool((((others - points[row]) ** 2).sum(axis=1) <= limit).any())
    return near / len(rows)


def _conflict(world: World, rows: Sequence[int]) -> float | None:
    """Regression: the spread of T, A, V over the scale's width; classes: the share of pairs that differ."""
    found = []
    for name in dict.fromkeys(task.dimension.name for task in world.tasks):
        tasks = [t for t in world.tasks if t.dimension.name == name and t.modality is not Modality.MULTIMODAL]
        if len(tasks) < 2:
            continue
        for row in rows:
            values = [world.labels[world.pool[row], task.id].value for task in tasks]
            dimension = tasks[0].dimension
            if dimension.kind is Kind.REGRESSION:
                numbers = [float(value) for value in values]
                found.append(float(np.std(numbers)) / (dimension.high - dimension.low))
            else:
                pairs = [a != b for i, a in enumerate(values) for b in values[:i]]
                found.append(float(np.mean(pairs)))
    return float(np.mean(found)) if found else None
