"""Short trainings that tell how long those of a simulation take."""

from dataclasses import replace

import numpy as np

from annotate.simulation.ledger import Ledger, Question
from annotate.simulation.model import teach
from annotate.simulation.world import Plan, World


def short_training(world: World, plan: Plan, samples: int, epochs: int) -> None:
    """Train for so many epochs on so many samples that are drawn uniformly, and forget it."""
    from annotate.learning.threads import one_thread

    brief = replace(world, recipe=replace(world.recipe, epochs=epochs))
    ledger = Ledger(brief, 0)
    rows = np.random.default_rng(0).permutation(len(world.pool))[:samples]
    ledger.ask(Question(int(row), m) for row in rows for m in world.passes)
    with one_thread():
        teach(brief, plan, ledger, 0, 0)
