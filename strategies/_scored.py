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
    """Ask for the highest scores; ties fall by chance, not by the order of the pool."""

    Options: ClassVar[type] = Options
    needs: frozenset[Requirement] = frozenset({Requirement.MODEL})
    kinds: frozenset[Kind] = frozenset({Kind.CLASSIFICATION})
    """Kinds of tasks that the formula of `score` was written for. A subclass names more only if its formula
    fits each of them: rows of a multilabel task, for example, are independent probabilities with any sum."""
    ranks_by_uncertainty: ClassVar[bool] = True
    """Whether, all else equal, a sample that the model is unsure of scores higher than those that it is sure
    of. The contract tests then demand that order for each of `kinds`."""

    disagrees: ClassVar[bool] = False
    """Whether it measures how members of an ensemble differ, which one alone cannot."""

    def __init__(self, options: Any = None) -> None:
        """Raises `ConfigError` for a combination that does not exist."""
        self.options = options or self.Options()
        COMBINATIONS.require(self.options.combine)

    @abstractmethod
    def score(self, prediction: TaskPrediction, pool: Pool) -> Scores:
        """(n,) for one task; higher means ask sooner. `prediction` holds at least one sample."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """The `k` best of the pool.

        Raises `ModelError` without predictions, when a score is not a finite number, or when members are to
        disagree and there is only one.
        """
        scores = self.pool_scores(pool, rng)
        best = top(scores, k, rng)
        return Selection(best, scores[best])

    def pool_scores(self, pool: Pool, rng: np.random.Generator) -> Scores:
        """(n,) over all tasks. What is labelled already adds nothing; all labelled means 0.

        Raises as `select`.
        """
        if self.disagrees:
            require_several(pool)
        return combine(self.task_scores(pool, rng), pool.missing, len(pool), self.options.combine, rng)

    def task_scores(self, pool: Pool, rng: np.random.Generator | None = None) -> dict[str, Scores]:
        """By id of each task that is asked: (n,), NaN where it has its label.

        `rng` is for those that draw something before they score. Raises `ModelError` without predictions, or
        when a score is not a finite number.
        """
        require_model(pool)
        return {t: _wanted(pool, t, self.drawn_score(pool.predictions[t], pool, rng)) for t in pool.asked()}

    def drawn_score(
        self, prediction: TaskPrediction, pool: Pool, rng: np.random.Generator | None
    ) -> NDArray[np.floating]:
        """What `score` says; those that draw something first do it here."""
        return self.score(prediction, pool)


def _wanted(pool: Pool, task_id: str, found: NDArray[np.floating]) -> Scores:
    """The scores, NaN where the task has its label. Raises `ModelError` when one is no number."""
    wanted = pool.missing[task_id]
    scores = np.asarray(found, dtype=np.float64)
    if not np.isfinite(scores if wanted.all() else scores[wanted]).all():
        raise ModelError(
            f"the model's predictions of {task_id} are not all numbers",
            hint="train it anew: `annotate train --force`",
        )
    return scores if wanted.all() else np.where(wanted, scores, np.nan)


def require_model(pool: Pool) -> None:
    """Raises `ModelError` without a model, or when it knows none of the tasks that are asked."""
    asked_tasks(pool)


def can_disagree(pool: Pool) -> bool:
    """Whether some task that is asked has a second member, or nothing is asked."""
    asked = [pool.predictions[task_id] for task_id in pool.asked()]
    return not asked or any(_heard(p) > 1 or p.epistemic.any() for p in asked)


def _heard(prediction: TaskPrediction) -> int:
    """How many members count at all."""
    return len(prediction.members) if prediction.shares is None else int((prediction.shares > 0).sum())


def require_several(pool: Pool) -> None:
    """Raises `ModelError` when no task that is asked has a second member to disagree with."""
    if not can_disagree(pool):
        raise ModelError(
            "this query strategy needs an ensemble: one model alone never disagrees",
            hint="set `members = 5` in [train] and train again, or choose `--strategy entropy`",
        )


def representation_of(
    representations: Mapping[str, NDArray[np.float32]], task_id: str
) -> NDArray[np.float32]:
    """(n, hidden) what the task's head reads. Raises `ModelError` when the model told none."""
    if task_id not in representations:
        raise ModelError(
            f"the model does not say what it makes of the samples of {task_id}",
            hint="train it anew: `annotate train --force`",
        )
    return representations[task_id]
