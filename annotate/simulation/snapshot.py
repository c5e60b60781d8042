"""The state of a replay as the snapshot that a batch is chosen from, like that of a project."""

from collections.abc import Sequence

import numpy as np

from annotate.batch.label_arrays import label_arrays
from annotate.batch.opening import make_strategy
from annotate.batch.predictions import PoolPredictions
from annotate.batch.quotas import Counts
from annotate.batch.request import Request
from annotate.batch.snapshot import PoolSnapshot, again_below
from annotate.simulation.fit_round import FittedRound
from annotate.simulation.oracle import Oracle
from annotate.simulation.replay_data import ReplayData
from annotate.types import Requirement, Role, Split
from db.batches import NO_ROLES, NO_TASKS, Candidate

ASKED_BEFORE = frozenset({Role.ACTIVE})


def oracle_snapshot(
    data: ReplayData, oracle: Oracle, fitted: FittedRound, request: Request, batches: int
) -> PoolSnapshot:
    """The snapshot that `read_snapshot` would read for the request from a project with the answers of the
    oracle, after so many batches.

    Samples may be asked while they lack a label, and by a strategy that weighs votes while a rater is left
    who did not judge them.
    """
    has_model = fitted.predictions is not None
    needs = make_strategy(request.strategy, data.options).needs if has_model else frozenset()
    may_repeat = bool(again_below(data.rules, request, has_model=has_model))
    lacks_label = {task.id: np.array(oracle.missing(task), dtype=bool) for task in data.tasks}
    again = {task.id: np.array(oracle.may_repeat(task), dtype=bool) & may_repeat for task in data.tasks}
    missing = {task_id: lacking | again[task_id] for task_id, lacking in lacks_label.items()}
    rows = np.flatnonzero(np.any(list(missing.values()), axis=0))
    asked_rows = set(oracle.rows())
    position = {sample_id: row for row, sample_id in enumerate(data.pool)}

    def candidate(row: int) -> Candidate:
        sample_id = data.pool[row]
        if row not in asked_rows:
            return Candidate(sample_id, Split.TRAIN, data.passes, False, NO_ROLES, NO_TASKS)
        passes, repeated = (
            tuple(m for m in data.passes if any(columns[task.id][row] for task in data.of_pass(m)))
            for columns in (lacks_label, again)
        )
        labelled = frozenset(task_id for task_id, lacking in lacks_label.items() if not lacking[row])
        return Candidate(sample_id, Split.TRAIN, passes, False, ASKED_BEFORE, labelled, repeated)

    def predict(sample_ids: Sequence[str], *, representations: bool) -> PoolPredictions:
        """The predictions for the whole pool, whichever samples are asked for: they were made already."""
        if fitted.predictions is None:
            return PoolPredictions(position, {}, data.embeddings, {}, data.device)
        return PoolPredictions(
            position, fitted.predictions.predictions, fitted.predictions.embeddings,
            fitted.predictions.representations if representations else {}, data.device,
        )  # fmt: skip

    covered = [data.pool[row] for row in sorted(asked_rows)]
    return PoolSnapshot(
        rules=data.rules,
        round_id=batches if has_model else None,
        predict=predict,
        candidates=[candidate(int(row)) for row in rows],
        clip_seconds=data.clip_seconds[rows],
        missing={task_id: may_ask[rows] for task_id, may_ask in missing.items()},
        groups={name: numbers[rows] for name, numbers in data.groups.items()},
        covered=covered,
        labels=label_arrays(data.tasks, covered, oracle.labels.values())
        if Requirement.LABELS in needs
        else {},
        answers=oracle.votes if Requirement.VOTES in needs else {},
        costs=data.costs,
        before=Counts(active=len(asked_rows)),
        batches=batches,
    )
