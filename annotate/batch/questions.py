"""Which questions to ask: samples by a query strategy, and of them the passes that are worth their time."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from annotate.batch.choosing import choose
from annotate.batch.knapsack import Grid, Offer, Step, spend, steps
from annotate.batch.opening import open_strategy
from annotate.errors import ModelError
from annotate.protocols import QueryStrategy
from annotate.types import Modality, Pool

SHORTLIST = 3
"""So many times the samples that could be asked whole are chosen, and their questions compared."""
WORTH = "variance-reduction"
"""The strategy whose score is what an answer tells: squared error that it takes away, which may be added over
tasks and divided by seconds. Nats (`bald`) go on asking about what is nearly learned: a tenth of a tiny error
is as many nats as a tenth of a large one."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be asked at most; at least one of them is set."""

    questions: int | None = None
    seconds: float | None = None
    """Of all raters together."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What could be asked of the n samples of a pool, and what it costs."""

    passes: tuple[Modality, ...]
    """In the order of the protocol."""
    free: NDArray[np.bool_]
    """(n, passes) True where the question is still to be asked."""
    seconds: Grid
    """(n, passes) of all raters together."""

    def of(self, rows: NDArray[np.intp]) -> "Prices":
        """The same for some samples."""
        return Prices(self.passes, self.free[rows], self.seconds[rows])


def ask(
    strategy: QueryStrategy, name: str, pool: Pool, prices: Prices, budget: Budget, rng: np.random.Generator
) -> list[Step]:
    """Questions within the budget, those to ask first in front; `Step.row` is the position in the pool.

    The strategy says which samples, more than can be asked; what each answer tells for its seconds says which
    of their questions. Raises what the strategy raises, and `ModelError` for a model without an ensemble.
    """
    chosen = choose(strategy, name, pool, _shortlist(prices, budget), rng).indices
    some, theirs = pool.of(chosen), prices.of(chosen)
    told = worth(some, prices.passes)
    if len(some) and some.asked() and not told.any():
        raise ModelError(
            "nothing tells single questions apart: one network alone never disagrees",
            hint="set `members = 5` in [train] and train again, or use --whole-samples",
        )
    offer = Offer(prices.passes, theirs.free, told, theirs.seconds)
    taken = spend(steps(offer), rng, questions=budget.questions, seconds=budget.seconds)
    return [Step(int(chosen[s.row]), s.passes, s.density, s.seconds) for s in taken]


def worth(pool: Pool, passes: Sequence[Modality]) -> Grid:
    """(n, passes) what the answers of a pass tell about the model, over its tasks that lack a label.

    An answer to a task that the model does not know yet tells as much as one to the task that has most to
    learn: worth nothing, it would never be asked, and never be known. Where the model knows none of them all
    tell as much.
    """
    scores = open_strategy(WORTH).task_scores(pool)  # type: ignore[attr-defined]
    most = max((float(np.nanmean(values)) for values in scores.values()), default=1.0)
    found = np.zeros((len(pool), len(passes)))
    for task_id, wanted in pool.missing.items():
        modality = Modality(task_id.rpartition(".")[2])
        if modality in passes:
            told = np.nan_to_num(scores[task_id]) if task_id in scores else most
            found[:, passes.index(modality)] += np.where(wanted, told, 0)
    return found


def _shortlist(prices: Prices, budget: Budget) -> int:
    """How many samples are looked at."""
    whole = max(int(prices.free.sum(axis=1).max(initial=1)), 1)
    found = [len(prices.free)]
    if budget.questions is not None:
        found.append(SHORTLIST * ceil(budget.questions / whole))
    if budget.seconds is not None:
        each = np.where(prices.free, prices.seconds, 0).sum(axis=1)
        found.append(SHORTLIST * ceil(budget.seconds / max(float(np.median(each)), 1e-9)))
    return min(found)
