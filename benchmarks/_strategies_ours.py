"""Lets one of our strategies choose a batch: NAME N B MEMBERS WORTH; a product of matrices as ``gemm``."""

import json
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from benchmarks._strategies_data import CLASSES, WORTH, Array, Numbers, measured, numbers, softmax

if TYPE_CHECKING:
    from annotate.types import Dimension, Kind, Pool, Task, TaskPrediction

SMALL = 64
"""Samples that a strategy first chooses from, so that importing what it needs is not in its time."""


def pool_of(given: Numbers, members: int, kinds: "frozenset[Kind]") -> "Pool":
    """One task is asked; a head of another modality judges the same, for those who look at both."""
    from annotate.types import Kind, LabeledSet, Modality, Pool, Task

    kind = next(k for k in (Kind.CLASSIFICATION, Kind.REGRESSION, Kind.MULTILABEL) if k in kinds)
    task, heard = (Task(_dimension(kind), m) for m in (Modality.MULTIMODAL, Modality.AUDIO))
    said = given.members(members) if members > 1 else given.probs[None]
    known = softmax(given.labelled @ given.weights)[None].repeat(members, axis=0)
    number = (given.points @ given.weights[:, 0], given.labelled @ given.weights[:, 0])
    labels = given.labels.astype(float)
    if kind is Kind.REGRESSION:
        labels = number[1].astype(float)
    elif kind is Kind.MULTILABEL:
        labels = np.eye(CLASSES)[given.labels]
    n = len(given.points)
    return Pool(
        np.arange(n).astype("U8"),
        {task.id: _prediction(task, said, number[0]), heard.id: _prediction(heard, said, number[0])},
        {task.id: np.ones(n, dtype=bool)},
        given.points,
        LabeledSet(
            given.labelled,
            {task.id: given.labelled, heard.id: given.labelled},
            {task.id: _prediction(task, known, number[1])},
            {task.id: labels},
        ),
        {task.id: given.points, heard.id: given.points},
        {"speaker": np.arange(n) // 50, "video": np.arange(n) // 20},
    )


def _dimension(kind: "Kind") -> "Dimension":
    from annotate.types import Answer, Dimension, Kind

    values = np.linspace(-3, 3, CLASSES).tolist() if kind is Kind.REGRESSION else list("abcdefg")
    return Dimension("judged", kind, tuple(Answer(v, str(v)) for v in values))


def _prediction(task: "Task", members: Array, number: Array) -> "TaskPrediction":
    from annotate.types import Kind, TaskPrediction

    spread = np.linspace(0.1, 1, len(number), dtype=np.float32)
    mean = number if task.dimension.kind is Kind.REGRESSION else members[0].argmax(axis=1)
    return TaskPrediction(task, members, mean.astype(np.float32), spread, spread[::-1].copy())


def product(given: Numbers) -> float:
    """CPU seconds of one product with a hundred columns, the median of three."""
    took = []
    for _ in range(3):
        started = time.process_time()
        given.points @ given.points[:100].T
        took.append(time.process_time() - started)
    return sorted(took)[1]


def main() -> None:
    name, n, b, members, worth = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
    given = numbers(n)
    if name == "gemm":
        print(json.dumps({"cpu": product(given), "bytes": 0.0}))
        return
    from annotate.batch.opening import make_strategy

    strategy = make_strategy(name)
    pool = pool_of(given, members, strategy.kinds)
    strategy.select(pool.of(np.arange(SMALL)), 4, np.random.default_rng(0))
    chosen, found = measured(lambda: strategy.select(pool, b, np.random.default_rng(0)).indices)
    found |= {"distinct": len(set(chosen.tolist()))}
    if worth != "none":
        found |= {"worth": WORTH[worth][0](given, chosen)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
