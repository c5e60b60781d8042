"""A moment of the replay, as a query strategy sees it in the real loop."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annotate.batch.known import label_arrays, vote_arrays
from annotate.simulation.ledger import Ledger
from annotate.simulation.model import Taught
from annotate.simulation.world import World
from annotate.types import LabeledSet, Pool, Requirement, TaskPrediction, rows_of


@dataclass(frozen=True, slots=True)
class View:
    """The pool of a round, and where its rows stand in the world's pool."""

    pool: Pool
    rows: NDArray[np.intp]
    """(n,)"""


def view(world: World, ledger: Ledger, taught: Taught, needs: frozenset[Requirement]) -> View:
    """What may still be asked: samples that lack a label, and for who weighs votes those that some rater has
    not judged yet. Samples that need nothing more are known."""
    missing = {task.id: np.array(ledger.missing(task), dtype=bool) for task in world.tasks}
    if Requirement.VOTES in needs:
        missing |= {task.id: missing[task.id] | ledger.again(task) for task in world.tasks}
    rows = np.flatnonzero(np.any(list(missing.values()), axis=0)).astype(np.intp)
    covered = np.array(sorted(set(ledger.rows()) - set(rows.tolist())), dtype=np.intp)
    predictions, representations, embeddings = _said(world, taught, needs)
    known = LabeledSet(embeddings[covered], rows_of(representations, covered))
    if Requirement.LABELS in needs:
        ids = [world.pool[row] for row in covered]
        beliefs = {task_id: p.of(covered) for task_id, p in predictions.items()}
        said = label_arrays(world.tasks, ids, ledger.labels.values())
        known = LabeledSet(known.embeddings, known.representations, beliefs, said)
    pool = Pool(
        sample_ids=np.array(world.pool, dtype=np.str_)[rows],
        predictions={task_id: p.of(rows) for task_id, p in predictions.items()},
        missing={task_id: wanted[rows] for task_id, wanted in missing.items()},
        embeddings=embeddings[rows],
        known=known,
        representations=rows_of(representations, rows),
        groups={word: who[rows] for word, who in world.groups.items()},
        device=world.device,
    )
    return View(_with_votes(world, ledger, pool, covered) if Requirement.VOTES in needs else pool, rows)


def _with_votes(world: World, ledger: Ledger, pool: Pool, covered: NDArray[np.intp]) -> Pool:
    here = vote_arrays(world.tasks, [str(i) for i in pool.sample_ids], ledger.said)
    there = vote_arrays(world.tasks, [world.pool[row] for row in covered], ledger.said)
    return replace(pool, votes=here, known=replace(pool.known, votes=there))


def _said(
    world: World, taught: Taught, needs: frozenset[Requirement]
) -> tuple[dict[str, TaskPrediction], dict[str, NDArray[np.float32]], NDArray[np.float32]]:
    """Predictions, representations and embeddings of the whole pool; bare features where there is no
    model."""
    seen = taught.seen
    if seen is None:
        return {}, {}, world.bare
    part = np.arange(len(world.pool), dtype=np.intp)
    representations = rows_of(seen.representations, part) if Requirement.REPRESENTATIONS in needs else {}
    return {t: p.of(part) for t, p in seen.predictions.items()}, representations, seen.embeddings[part]
