"""The project's own model, trained on what is labelled so far, and what it makes of all samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.learning.requirements import missing_labels, trainable
from annotate.learning.seeds import member_seed
from annotate.simulation.ledger import Ledger
from annotate.simulation.world import Plan, World
from annotate.types import Label, Task

if TYPE_CHECKING:
    from annotate.learning.predict import Predictions

VALID, FIT = 1, 2
"""What a seed of a run is for, beside others."""


@dataclass(frozen=True, slots=True)
class Taught:
    """What there was to learn from, and what came of it."""

    labels: dict[tuple[str, str], Label]
    """By (sample id, task id), those of valid included."""
    tasks: tuple[Task, ...]
    """What the model knows; none: there is no model."""
    seen: "Predictions | None"
    """The pool, then test, through the model."""


def watched(world: World, plan: Plan, labelled: float, seed: int) -> list[str]:
    """The valid samples that are labelled when so many pool samples are; more of them as the loop goes on.
    Questions over passes count, so that those spread over many samples bring no more of them."""
    order = np.random.default_rng([seed, VALID]).permutation(len(world.valid))
    count = min(round(plan.valid_share * labelled), len(world.valid))
    return sorted(world.valid[i] for i in order[:count])


def teach(world: World, plan: Plan, ledger: Ledger, seed: int, turn: int) -> Taught:
    """Train on what the ledger knows. `seed` and `turn` decide the first weights, whoever chose the samples.

    Raises what `fit_ensemble` raises.
    """
    told = ledger.told()
    tasks = tuple(task for task in world.tasks if not missing_labels(task, told[task.id]))
    tasks = trainable(tasks, world.recipe.unimodal_labels)
    valid = watched(world, plan, min(ledger.samples, len(world.pool)), seed)
    labels = dict(ledger.labels)
    labels |= {(i, t.id): world.labels[i, t.id] for i in valid for t in tasks if (i, t.id) in world.labels}
    if not tasks:
        return Taught(labels, (), None)
    return Taught(labels, tasks, _see(world, labels, valid, tasks, member_seed(seed, FIT, turn)))


def _see(
    world: World, labels: dict[tuple[str, str], Label], valid: Sequence[str], tasks: tuple[Task, ...],
    seed: int,
) -> "Predictions":  # fmt: skip
    from annotate.learning.ensemble import fit_ensemble
    from annotate.learning.predict import predict
    from annotate.learning.prepared import TrainingSet

    def labelled(ids: Sequence[str]) -> list[str]:
        return [i for i in ids if any((i, task.id) in labels for task in tasks)]

    training_set = TrainingSet(
        tasks, labelled(world.pool), labelled(valid), labels, world.read, world.extractors, world.origins
    )
    checkpoint = fit_ensemble(training_set, world.recipe, seed=seed, device=world.device, cache_graphs=True)
    everything = [*world.pool, *world.test]
    return predict(checkpoint, world.read, everything, world.device, world.origins, representations=True)


def scores(world: World, taught: Taught) -> dict[str, dict[str, float]]:
    """By task id: every score on test. A task that the model does not know yet is answered by the most
    frequent label so far, a number by any."""
    from annotate.learning.metrics import constant_scores, scores_of

    found = {}
    for task in trainable(world.tasks, world.recipe.unimodal_labels):
        rows = [k for k, i in enumerate(world.test) if (i, task.id) in world.labels]
        truth = [world.labels[world.test[k], task.id] for k in rows]
        if task not in taught.tasks or taught.seen is None:
            said = [label for (_, task_id), label in taught.labels.items() if task_id == task.id]
            found[task.id] = constant_scores(task, said, truth)
            continue
        at: NDArray[np.intp] = np.array(rows, dtype=np.intp) + len(world.pool)
        prediction = taught.seen.predictions[task.id].of(at)
        found[task.id] = scores_of(prediction, truth)
    return found
