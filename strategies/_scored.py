"""Base for strategies that score each sample on its own, task by task."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ModelError
from annotate.types import Kind, Pool, Requirement, Selection, TaskPrediction
from strategies._several import COMBINATIONS, combine
from strategies._tasks import asked_tasks
from strategies._top import top

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Options:
    """Options of strategies that score each sample."""

    combine: str = "mean"
    """How the scores of several tasks are combined: `mean`, `max` or `rrf` of ranks, `quota` per task,
    `sum` of scores."""


class ScoredStrategy(ABC):
    """Chooses the samples with the highest scores; ties are broken at random."""

    Options: ClassVar[type] = Options
    needs: frozenset[Requirement] = frozenset({Requirement.MODEL})
    kinds: frozenset[Kind] = frozenset({Kind.CLASSIFICATION})
    """Kinds of tasks that the formula of `score` was written for. A subclass names more only if its formula
    fits each of them: rows of a multilabel task, for example, are independent probabilities with any sum."""
    ranks_by_uncertainty: ClassVar[bool] = True
    """Whether, all else equal, a sample that the model is unsure of scores higher than those that it is sure
    of. The contract tests then demand that order for each of `kinds`."""

    disagrees: ClassVar[bool] = False
    """Whether it measures how the members of an ensemble differ, so that it needs at least two."""

    def __init__(self, options: Any = None) -> None:
        """Raises `ConfigError` for an unknown combination."""
        self.options = options or self.Options()
        COMBINATIONS.require(self.options.combine)

    @abstractmethod
    def score(self, prediction: TaskPrediction, pool: Pool) -> Scores:
        """(n,) for one task; higher means ask sooner. `prediction` holds at least one sample."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """The `k` best of the pool.

        Raises `ModelError` without predictions, when a score is not a finite number, or when the strategy
        needs several members and there is only one.
        """
        scores = self.pool_scores(pool, rng)
        best = top(scores, k, rng)
        return Selection(best, scores[best])

    def pool_scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """(n,) combined over all tasks. A labelled task adds nothing; 0 if all tasks are labelled.

        Raises as `select`.
        """
        if self.disagrees:
            require_several(pool)
        return combine(self.task_scores(pool, rng), pool.missing, len(pool), self.options.combine, rng)

    def task_scores(self, pool: Pool, rng: np.random.Generator | None = None) -> dict[str, Scores]:
        """(n,) scores by id of each asked task, NaN where the label is known.

        `rng` is for strategies that draw something before they score. Raises `ModelError` without
        predictions, or when a score is not a finite number.
        """
        require_model(pool)
        scores: dict[str, Scores] = {}
        for task_id in pool.asked():
            wanted = pool.missing[task_id]
            values = np.asarray(self.drawn_score(pool.predictions[task_id], pool, rng), dtype=np.float64)
            if not np.isfinite(values if wanted.all() else values[wanted]).all():
                raise ModelError(
                    f"the model's predictions of {task_id} are not all numbers",
                    hint="train it again: `annotate train --force`",
                )
            scores[task_id] = values if wanted.all() else np.where(wanted, values, np.nan)
        return scores

    def drawn_score(
        self, prediction: TaskPrediction, pool: Pool, rng: np.random.Generator | None
    ) -> NDArray[np.floating]:
        """The result of `score`; strategies that draw something first override this."""
        return self.score(prediction, pool)


def require_model(pool: Pool) -> None:
    """Raises `ModelError` without a model, or when it predicts none of the asked tasks."""
    asked_tasks(pool)


def can_disagree(pool: Pool) -> bool:
    """Whether an asked task has a second member, or nothing is asked."""
    asked = [pool.predictions[task_id] for task_id in pool.asked()]
    for prediction in asked:
        shares = prediction.shares
        counting = len(prediction.members) if shares is None else int((shares > 0).sum())
        if counting > 1 or prediction.epistemic.any():
            return True
    return not asked


def require_several(pool: Pool) -> None:
    """Raises `ModelError` when no asked task has a second member."""
    if not can_disagree(pool):
        raise ModelError(
            "this query strategy needs an ensemble: one model alone never disagrees",
            hint="set `members = 5` in [train] and train again, or choose `--strategy entropy`",
        )


def representation_of(
    representations: Mapping[str, NDArray[np.float32]], task_id: str
) -> NDArray[np.float32]:
    """(n, hidden) what the task's head reads. Raises `ModelError` when the model has none."""
    if task_id not in representations:
        raise ModelError(
            f"the model has no representations of the samples for {task_id}",
            hint="train it again: `annotate train --force`",
        )
    return representations[task_id]
