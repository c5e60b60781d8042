"""Pools of random numbers, for tests of what chooses from them."""

from dataclasses import replace
from itertools import product

import numpy as np

from annotate.types import Dimension, Kind, LabeledSet, Modality, Pool, Task, TaskPrediction
from tests.support.dimensions import SENTIMENT, THEMES, classification

EMOTION = classification("emotion", "anger", "happy", "sad", "calm")


def predict(task: Task, n: int, rng: np.random.Generator, members: int = 3) -> TaskPrediction:
    answers = len(task.dimension.answers)
    if task.dimension.kind is Kind.MULTILABEL:
        # Rows sum to anything, and certainty is not rare.
        probs = rng.random((members, n, answers)).round(1).astype(np.float32)
        mean = (probs.mean(axis=0) >= 0.5).sum(axis=1)
    else:
        probs = rng.dirichlet(np.ones(answers), (members, n)).astype(np.float32).reshape(members, n, answers)
        mean = rng.normal(size=n) if task.dimension.kind is Kind.REGRESSION else rng.integers(answers, size=n)
    return TaskPrediction(
        task,
        probs,
        mean.astype(np.float32),
        rng.exponential(size=n).astype(np.float32),
        rng.exponential(size=n).astype(np.float32),
    )


def say(task: Task, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) labels as `LabeledSet.labels` has them, a third of them absent."""
    answers = len(task.dimension.answers)
    if task.dimension.kind is Kind.MULTILABEL:
        said = rng.integers(2, size=(n, answers)).astype(float)
    elif task.dimension.kind is Kind.REGRESSION:
        said = rng.uniform(-1, 1, n)
    else:
        said = rng.integers(answers, size=n).astype(float)
    said[rng.random(n) < 1 / 3] = np.nan
    return said


def make_pool(
    n: int = 50, seed: int = 0, dimensions: tuple[Dimension, ...] = (SENTIMENT, EMOTION, THEMES),
    labelled: int = 5, share_missing: float = 1.0, with_model: bool = True, width: int = 6,
) -> Pool:  # fmt: skip
    """A pool of random numbers; tasks of one modality read the same representation."""
    rng = np.random.default_rng(seed)
    tasks = [Task(dimension, modality) for dimension in dimensions for modality in Modality]
    known = tasks if with_model else []
    representations = {m: rng.normal(size=(n + labelled, 4)).astype(np.float32) for m in Modality}
    of_pool, of_labelled = (
        {m: c[part] for m, c in representations.items()} for part in (slice(n), slice(n, None))
    )
    return Pool(
        np.array([f"{i:016x}" for i in range(n)], dtype=np.str_),
        {task.id: predict(task, n, rng) for task in known},
        {task.id: rng.random(n) < share_missing for task in tasks},
        rng.normal(size=(n, width)).astype(np.float32),
        LabeledSet(
            rng.normal(size=(labelled, width)).astype(np.float32),
            {task.id: of_labelled[task.modality] for task in known},
            {task.id: predict(task, labelled, rng) for task in known},
            {task.id: say(task, labelled, rng) for task in known},
        ),
        {task.id: of_pool[task.modality] for task in known},
        {"speaker": rng.integers(5, size=n), "video": rng.integers(9, size=n)},
    )


def plant_one_unsure(dimension: Dimension) -> tuple[Pool, int]:
    """A pool of samples that the model is sure of, and the position of the only one that it is unsure of.

    For the unsure sample the members disagree, their mean is close to even, and the modalities differ. Each
    other sample has one sure answer (in a multilabel task: one sure set of answers). Embeddings,
    representations and noise are the same for all, so that only the uncertainty differs.
    """
    answers = len(dimension.answers)
    if dimension.kind is Kind.MULTILABEL:
        sure = np.array(list(product((0.01, 0.99), repeat=answers)))
    else:
        sure = np.full((answers, answers), 0.02 / (answers - 1))
        np.fill_diagonal(sure, 0.98)
    n, unsure = len(sure) + 1, len(sure) // 2
    pool = make_pool(n=n, dimensions=(dimension,), labelled=5)
    predictions = {}
    for number, modality in enumerate(Modality):
        task = Task(dimension, modality)
        members = np.repeat(np.insert(sure, unsure, 0.5, axis=0)[None], 3, axis=0)
        for member in range(3):
            members[member, unsure] = _doubtful(dimension, number + member // 2)
        predictions[task.id] = _prediction_of(task, members.astype(np.float32), unsure)
    return replace(
        pool,
        predictions=predictions,
        embeddings=np.zeros_like(pool.embeddings),
        representations={
            task_id: np.ones_like(representation) for task_id, representation in pool.representations.items()
        },
    ), unsure


def _doubtful(dimension: Dimension, shift: int) -> np.ndarray:
    """(answers,) what a member says that leans a little to one answer, another one for each `shift`."""
    answers = len(dimension.answers)
    if dimension.kind is Kind.MULTILABEL:
        return np.where((np.arange(answers) + shift) % 2, 0.8, 0.2)
    doubtful = np.full(answers, 0.6 / (answers - 1))
    doubtful[shift % answers] = 0.4
    return doubtful


def _prediction_of(task: Task, members: np.ndarray, unsure: int) -> TaskPrediction:
    n = members.shape[1]
    if task.dimension.kind is Kind.REGRESSION:
        values = members @ np.array([float(answer.value) for answer in task.dimension.answers], np.float32)
        mean, epistemic = values.mean(axis=0), values.std(axis=0)
    else:
        mean = members.mean(axis=0).argmax(axis=1).astype(np.float32)
        epistemic = np.where(np.arange(n) == unsure, 0.3, 0.001).astype(np.float32)
    return TaskPrediction(task, members, mean, epistemic, np.full(n, 0.3, np.float32))
