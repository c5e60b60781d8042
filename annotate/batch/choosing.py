"""Lets a query strategy choose from what it can rank, or says who could."""

import numpy as np

from annotate.errors import ModelError
from annotate.protocols import QueryStrategy
from annotate.registry import STRATEGIES
from annotate.types import Kind, Pool, Requirement, Selection

ANONYMOUS = "this query strategy"
"""What one that does not know what the user called it calls itself."""


def choose(strategy: QueryStrategy, name: str, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
    """At most `k` of the pool, by the strategy that the user called `name`.

    Raises `ModelError` where it can rank none of the tasks that are asked; names those that can.
    """
    if not len(pool) or k < 1:
        return Selection(np.zeros(0, dtype=np.intp), np.zeros(0))
    try:
        return strategy.select(_rankable(strategy, name, pool), k, rng)
    except ModelError as error:
        if ANONYMOUS not in str(error):
            raise
        raise ModelError(str(error).replace(ANONYMOUS, name), hint=error.hint) from error


def _rankable(strategy: QueryStrategy, name: str, pool: Pool) -> Pool:
    """The pool with only those tasks that the strategy can rank."""
    if Requirement.MODEL not in strategy.needs or strategy.kinds >= set(Kind) or not pool.asked():
        return pool
    kinds = {t: p.task.dimension.kind for t, p in pool.predictions.items()}
    if not (fit := pool.of_kinds(strategy.kinds)).asked():
        present = {kinds[t] for t in pool.asked()}
        raise ModelError(
            f"{name} ranks {_words(strategy.kinds)} only, and what is asked is {_words(present)}",
            hint=f"these fit: {', '.join(fitting(present))}",
        )
    return fit


def fitting(kinds: set[Kind]) -> list[str]:
    """Names of the strategies that can rank one of these kinds of tasks with a model."""
    return [name for name in STRATEGIES.names() if STRATEGIES.get(name).kinds & kinds]


def _words(kinds: set[Kind] | frozenset[Kind]) -> str:
    return " and ".join(sorted(kind.value for kind in kinds))
