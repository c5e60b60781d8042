"""Base for strategies that score each sample on its own, task by task."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ModelError
from annotate.types import Pool, Selection, TaskPrediction

Scores = NDArray[np.float64]


class ScoredStrategy(ABC):
    """Ask for the highest scores; ties fall by chance, not by the order of the pool."""

    needs_model = True

    @abstractmethod
    def score(self, prediction: TaskPrediction) -> Scores:
        """(n,) for one task; higher means ask sooner. `prediction` holds at least one sample."""

    def comparable(self, scores: Scores) -> Scores:
        """Scores of one task brought to a scale that tasks share: here their ranks, in (0, 1].

        Entropies of three and of seven answers cannot be averaged; ranks can.
        """
        return ranks(scores)

    def combine(self, stacked: Scores, missing: NDArray[np.bool_]) -> Scores:
        """(n,) from (tasks, n) comparable scores: here the mean over the tasks that lack a label."""
        return stacked.sum(axis=0) / np.maximum(missing.sum(axis=0), 1)

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """The `k` best of the pool.

        Raises `ModelError` without predictions, or when a score is not a finite number.
        """
        scores = self.pool_scores(pool)
        best = top(scores, k, rng)
        return Selection(best, scores[best])

    def pool_scores(self, pool: Pool) -> Scores:
        """(n,) over all tasks. What is labelled already adds nothing; all labelled means 0."""
        if not len(pool):
            return np.zeros(0)
        if not pool.predictions:
            raise ModelError("this query strategy needs a model", hint="run `annotate train` first")
        tasks = [task_id for task_id in pool.missing if task_id in pool.predictions]
        if not tasks:
            raise ModelError("the model knows none of the present tasks", hint="annotate train")
        missing = np.stack([pool.missing[task_id] for task_id in tasks])
        stacked = np.zeros(missing.shape)
        for row, (task_id, wanted) in enumerate(zip(tasks, missing, strict=True)):
            if wanted.any():
                scores = _finite(self.score(pool.predictions[task_id]), wanted, task_id)
                stacked[row, wanted] = self.comparable(scores[wanted])
        return self.combine(stacked, missing)


def _finite(scores: Scores, wanted: NDArray[np.bool_], task_id: str) -> Scores:
    if not np.isfinite(scores[wanted]).all():
        raise ModelError(
            f"the model's predictions of {task_id} are not all numbers",
            hint="train it anew: `annotate train --force`",
        )
    return scores


def ranks(scores: Scores) -> Scores:
    """(n,) in (0, 1], the highest score highest; equal scores share the mean of their ranks."""
    _, position, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(middle[position] / len(scores))


def top(scores: Scores, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions of the `k` highest scores, best first; `rng` decides between equals."""
    # Shuffled before the stable sort, so that ties do not favour low sample ids.
    shuffled = rng.permutation(len(scores))
    return np.asarray(shuffled[np.argsort(-scores[shuffled], kind="stable")[:k]], dtype=np.intp)
