"""Base for strategies that score each sample on its own, task by task."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ModelError
from annotate.types import Kind, Need, Pool, Selection, TaskPrediction
from strategies._several import COMBINATIONS, combine
from strategies._top import top

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Options:
    """Of a strategy that scores each sample."""

    combine: str = "mean"
    """What several tasks make together: mean, max or rrf of ranks, quota per task, sum of scores."""


class ScoredStrategy(ABC):
    """Ask for the highest scores; ties fall by chance, not by the order of the pool."""

    Options: ClassVar[type] = Options
    needs: frozenset[Need] = frozenset({Need.MODEL})
    kinds: frozenset[Kind] = frozenset(Kind)

    def __init__(self, options: Any = None) -> None:
        """Raises `ConfigError` for a combination that does not exist."""
        self.options = options or self.Options()
        COMBINATIONS.require(self.options.combine)

    @abstractmethod
    def score(self, prediction: TaskPrediction, pool: Pool) -> Scores:
        """(n,) for one task; higher means ask sooner. `prediction` holds at least one sample."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """The `k` best of the pool.

        Raises `ModelError` without predictions, or when a score is not a finite number.
        """
        scores = self.pool_scores(pool)
        best = top(scores, k, rng)
        return Selection(best, scores[best])

    def pool_scores(self, pool: Pool) -> Scores:
        """(n,) over all tasks. What is labelled already adds nothing; all labelled means 0."""
        return combine(self.task_scores(pool), pool.missing, len(pool), self.options.combine)

    def task_scores(self, pool: Pool) -> dict[str, Scores]:
        """By id of each task that is asked: (n,), NaN where it has its label.

        Raises as `select`.
        """
        if len(pool) and not pool.predictions:
            raise ModelError("this query strategy needs a model", hint="run `annotate train` first")
        if len(pool) and not set(pool.missing) & set(pool.predictions):
            raise ModelError("the model knows none of the present tasks", hint="annotate train")
        return {task_id: self._wanted(pool, task_id) for task_id in pool.asked()}

    def _wanted(self, pool: Pool, task_id: str) -> Scores:
        wanted = pool.missing[task_id]
        scores = np.asarray(self.score(pool.predictions[task_id], pool), dtype=np.float64)
        if not np.isfinite(scores if wanted.all() else scores[wanted]).all():
            raise ModelError(
                f"the model's predictions of {task_id} are not all numbers",
                hint="train it anew: `annotate train --force`",
            )
        return scores if wanted.all() else np.where(wanted, scores, np.nan)
