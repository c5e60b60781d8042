"""Short trainings, from which the time of those of a simulation is estimated."""

from dataclasses import replace

import numpy as np

from annotate.simulation.fit_round import fit_round
from annotate.simulation.oracle import Oracle, PoolQuestion
from annotate.simulation.replay_data import ReplayData
from annotate.simulation.schedule import ReplaySchedule


def short_training(data: ReplayData, schedule: ReplaySchedule, samples: int, epochs: int) -> None:
    """Train for `epochs` epochs on `samples` samples drawn uniformly, and discard the model."""
    from annotate.learning.threads import one_thread

    brief = replace(data, config=replace(data.config, epochs=epochs))
    oracle = Oracle(brief, 0)
    rows = np.random.default_rng(0).permutation(len(data.pool))[:samples]
    oracle.ask(PoolQuestion(int(row), m) for row in rows for m in data.passes)
    with one_thread():
        fit_round(brief, schedule, oracle, 0, 0)
