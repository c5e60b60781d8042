"""Chooses single questions: samples by a query strategy, and their passes by expected gain per second."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from annotate.batch.choosing import choose
from annotate.batch.knapsack import Bundle, Grid, Offer, bundles, fill_budget
from annotate.batch.opening import make_strategy
from annotate.errors import ModelError
from annotate.protocols import QueryStrategy
from annotate.types import Modality, Pool, parse_task_id

SHORTLIST = 3
"""The strategy chooses this many times the samples that could be asked whole; their questions compete."""
GAIN = "variance-reduction"
"""The strategy whose score is the expected gain of an answer: the squared error that it removes, which may be
added over tasks and divided by seconds. Information in nats (`bald`) would keep asking about what is nearly
learned: a tenth of a tiny error is as many nats as a tenth of a large one."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper limits of what is asked; at least one of them is set."""

    questions: int | None = None
    seconds: float | None = None
    """Time of all raters together."""


@dataclass(frozen=True, slots=True)
class QuestionCosts:
    """The questions that may be asked about the n samples of a pool, and their cost."""

    passes: tuple[Modality, ...]
    """In the order of the protocol."""
    free: NDArray[np.bool_]
    """(n, passes) True where the question may still be asked."""
    seconds: Grid
    """(n, passes) time of all raters together."""

    def of(self, rows: NDArray[np.intp]) -> "QuestionCosts":
        """The same for some of the samples."""
        return QuestionCosts(self.passes, self.free[rows], self.seconds[rows])


def choose_questions(
    strategy: QueryStrategy, name: str, pool: Pool, costs: QuestionCosts, budget: Budget,
    rng: np.random.Generator,
) -> list[Bundle]:  # fmt: skip
    """Questions within the budget, those to ask first in front; `Bundle.row` is the position in the pool.

    The strategy chooses more samples than can be asked whole; the expected gain per second decides which of
    their questions are asked. Raises what the strategy raises, and `ModelError` for a model that is no
    ensemble.
    """
    if not len(pool):
        return []  # the uniform draws took every sample
    chosen = choose(strategy, name, pool, _shortlist_size(costs, budget), rng).indices
    shortlist, shortlist_costs = pool.of(chosen), costs.of(chosen)
    gain = expected_gain(shortlist, costs.passes)
    if len(shortlist) and shortlist.asked() and not gain.any():
        raise ModelError(
            "single questions cannot be ranked: a model with one member never disagrees with itself",
            hint="set `members = 5` in [train] and train again, or use --whole-samples",
        )
    offer = Offer(costs.passes, shortlist_costs.free, gain, shortlist_costs.seconds)
    taken = fill_budget(bundles(offer), rng, questions=budget.questions, seconds=budget.seconds)
    return [Bundle(int(chosen[b.row]), b.passes, b.density, b.seconds) for b in taken]


def expected_gain(pool: Pool, passes: Sequence[Modality]) -> Grid:
    """(n, passes) expected gain of the answers of a pass, summed over its tasks that lack a label.

    A task that the model does not know yet counts as much as the task with the highest mean gain: with a gain
    of zero it would never be asked, and so never be known. If the model knows none of them, all count alike.
    """
    scores = make_strategy(GAIN).task_scores(pool)  # type: ignore[attr-defined]
    highest = max((float(np.nanmean(values)) for values in scores.values()), default=1.0)
    total = np.zeros((len(pool), len(passes)))
    for task_id, is_missing in pool.missing.items():
        _, modality = parse_task_id(task_id)
        if modality in passes:
            gain = np.nan_to_num(scores[task_id]) if task_id in scores else highest
            total[:, passes.index(modality)] += np.where(is_missing, gain, 0)
    return total


def _shortlist_size(costs: QuestionCosts, budget: Budget) -> int:
    per_sample = max(int(costs.free.sum(axis=1).max(initial=1)), 1)
    limits = [len(costs.free)]
    if budget.questions is not None:
        limits.append(SHORTLIST * ceil(budget.questions / per_sample))
    if budget.seconds is not None:
        seconds = np.where(costs.free, costs.seconds, 0).sum(axis=1)
        limits.append(SHORTLIST * ceil(budget.seconds / max(float(np.median(seconds)), 1e-9)))
    return min(limits)
