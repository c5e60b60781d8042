"""Asks single questions in a replay, by what they tell for their time, as the real loop does."""

import numpy as np
from numpy.typing import NDArray

from annotate.batch.questions import Budget, QuestionCosts, choose_questions
from annotate.protocols import QueryStrategy
from annotate.simulation.replay import Picked, Picker, Room
from annotate.simulation.world import World
from annotate.types import Pool


def whole_seconds(world: World) -> float:
    """Of a rater, for all passes of a sample, on average."""
    return float(sum(np.mean(world.costs[m].of(world.clip_seconds)) for m in world.passes))


def single_questions(strategy: QueryStrategy, name: str, world: World) -> Picker:
    """Spends as much time as whole samples take in the round, however many questions that is."""
    row_of = {sample_id: row for row, sample_id in enumerate(world.pool)}
    each = whole_seconds(world)

    def pick(pool: Pool, room: Room, rng: np.random.Generator) -> Picked:
        rows = np.array([row_of[str(i)] for i in pool.sample_ids], dtype=np.intp)
        prices = _prices(world, pool, rows)
        taken = choose_questions(strategy, name, pool, prices, Budget(seconds=room.samples * each), rng)
        return [(step.row, m) for step in taken for m in step.passes]

    return pick


def _prices(world: World, pool: Pool, rows: NDArray[np.intp]) -> QuestionCosts:
    """A question is free while a task of its pass lacks its label."""
    missing = {m: [pool.missing[t.id] for t in world.of_pass(m)] for m in world.passes}
    free = np.stack([np.any(missing[m], axis=0) for m in world.passes], axis=1)
    lengths = world.clip_seconds[rows]
    seconds = np.stack([world.costs[m].of(lengths) for m in world.passes], axis=1)
    return QuestionCosts(world.passes, free, seconds)
