"""The state of a replay as the snapshot that a batch is chosen from, like that of a project."""

from collections.abc import Sequence

import numpy as np

from annotate.batch.known import label_arrays
from annotate.batch.opening import make_strategy
from annotate.batch.predictions import PoolPredictions, Predictor
from annotate.batch.quotas import Counts
from annotate.batch.request import Request
from annotate.batch.snapshot import PoolSnapshot, again_below
from annotate.simulation.ledger import Ledger
from annotate.simulation.model import Taught
from annotate.simulation.world import World
from annotate.types import Requirement, Role, Split
from db.batches import NO_ROLES, NO_TASKS, Candidate

ASKED_BEFORE = frozenset({Role.ACTIVE})


def oracle_snapshot(
    world: World, ledger: Ledger, taught: Taught, request: Request, batches: int
) -> PoolSnapshot:
    """What `read_snapshot` would read for the request if the answers so far were those of a project, after so
    many batches.

    Samples may be asked while they lack a label, and by a strategy that weighs votes while a rater is left
    who did not judge them.
    """
    has_model = taught.seen is not None
    needs = make_strategy(request.strategy, world.options).needs if has_model else frozenset()
    may_repeat = bool(again_below(world.rules, request, has_model=has_model))
    lacks_label = {task.id: np.array(ledger.missing(task), dtype=bool) for task in world.tasks}
    again = {task.id: np.array(ledger.again(task), dtype=bool) & may_repeat for task in world.tasks}
    missing = {task_id: lacking | again[task_id] for task_id, lacking in lacks_label.items()}
    rows = np.flatnonzero(np.any(list(missing.values()), axis=0))
    asked_rows = set(ledger.rows())

    def candidate(row: int) -> Candidate:
        sample_id = world.pool[row]
        if row not in asked_rows:
            return Candidate(sample_id, Split.TRAIN, world.passes, False, NO_ROLES, NO_TASKS)
        passes, repeated = (
            tuple(m for m in world.passes if any(columns[task.id][row] for task in world.of_pass(m)))
            for columns in (lacks_label, again)
        )
        labelled = frozenset(task_id for task_id, lacking in lacks_label.items() if not lacking[row])
        return Candidate(sample_id, Split.TRAIN, passes, False, ASKED_BEFORE, labelled, repeated)

    covered = [world.pool[row] for row in sorted(asked_rows)]
    return PoolSnapshot(
        rules=world.rules,
        round_id=batches if has_model else None,
        predict=_predictor(world, taught),
        candidates=[candidate(int(row)) for row in rows],
        clip_seconds=world.clip_seconds[rows],
        missing={task_id: may_ask[rows] for task_id, may_ask in missing.items()},
        groups={name: numbers[rows] for name, numbers in world.groups.items()},
        covered=covered,
        labels=label_arrays(world.tasks, covered, ledger.labels.values())
        if Requirement.LABELS in needs
        else {},
        answers=ledger.said if Requirement.VOTES in needs else {},
        costs=world.costs,
        before=Counts(active=len(asked_rows)),
        batches=batches,
    )


def _predictor(world: World, taught: Taught) -> Predictor:
    """Gives the predictions that were made for the whole pool, whichever samples are asked for."""
    position = {sample_id: row for row, sample_id in enumerate(world.pool)}
    seen = taught.seen

    def predict(sample_ids: Sequence[str], *, representations: bool) -> PoolPredictions:
        if seen is None:
            return PoolPredictions(position, {}, world.bare, {}, world.device)
        head_inputs = seen.representations if representations else {}
        return PoolPredictions(position, seen.predictions, seen.embeddings, head_inputs, world.device)

    return predict
