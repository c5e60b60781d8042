"""Trains the project's model on the labels so far, predicts all samples, and scores the predictions."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.learning.requirements import missing_labels, trainable
from annotate.learning.seeds import member_seed
from annotate.simulation.oracle import Oracle
from annotate.simulation.replay_data import ReplayData
from annotate.simulation.schedule import ReplaySchedule
from annotate.types import Label, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annotate.learning.predict import Predictions

VALID, FIT = 1, 2
"""Streams of random numbers for one seed of a run."""


@dataclass(frozen=True, slots=True)
class FittedRound:
    """The labels of a round, and the predictions of the model trained on them."""

    labels: dict[tuple[str, str], Label]
    """By (sample id, task id), those of validation samples included."""
    tasks: tuple[Task, ...]
    """The tasks that the model predicts; empty if there is no model."""
    predictions: "Predictions | None"
    """Of the pool and then the test samples."""


def valid_subset(data: ReplayData, schedule: ReplaySchedule, labelled: float, seed: int) -> list[str]:
    """The validation samples that are labelled when `labelled` pool samples are; it only ever grows.

    A sample with half its passes asked counts half, so that questions spread over many samples do not bring
    more validation labels.
    """
    order = np.random.default_rng([seed, VALID]).permutation(len(data.valid))
    count = min(round(schedule.valid_share * labelled), len(data.valid))
    return sorted(data.valid[i] for i in order[:count])


def fit_round(
    data: ReplayData, schedule: ReplaySchedule, oracle: Oracle, seed: int, turn: int
) -> FittedRound:
    """Train on the answers of the oracle so far, and predict the pool and the test samples.

    `seed` and `turn` alone decide the initial weights, whichever strategy chose the samples. Raises what
    `fit_ensemble` raises.
    """
    from annotate.learning.ensemble import fit_ensemble
    from annotate.learning.predict import predict
    from annotate.learning.prepared import TrainingSet

    by_task = oracle.labels_by_task()
    tasks = tuple(task for task in data.tasks if not missing_labels(task, by_task[task.id]))
    tasks = trainable(tasks, data.config.unimodal_labels)
    valid = valid_subset(data, schedule, min(oracle.samples, len(data.pool)), seed)
    labels = dict(oracle.labels)
    labels |= {(i, t.id): data.labels[i, t.id] for i in valid for t in tasks if (i, t.id) in data.labels}
    if not tasks:
        return FittedRound(labels, (), None)

    def labelled(ids: "Sequence[str]") -> list[str]:
        return [i for i in ids if any((i, task.id) in labels for task in tasks)]

    training_set = TrainingSet(
        tasks, labelled(data.pool), labelled(valid), labels, data.read, data.extractors, data.origins
    )
    member = member_seed(seed, FIT, turn)
    checkpoint = fit_ensemble(training_set, data.config, seed=member, device=data.device, cache_graphs=True)
    predictions = predict(
        checkpoint, data.read, [*data.pool, *data.test], data.device, data.origins, representations=True
    )
    return FittedRound(labels, tasks, predictions)


def scores(data: ReplayData, fitted: FittedRound) -> dict[str, dict[str, float]]:
    """By task id: every score on the test samples.

    A task that the model does not predict yet is scored as a constant: the most frequent label so far.
    """
    from annotate.learning.metrics import constant_scores, scores_of

    by_task = {}
    for task in trainable(data.tasks, data.config.unimodal_labels):
        rows = [k for k, i in enumerate(data.test) if (i, task.id) in data.labels]
        truth = [data.labels[data.test[k], task.id] for k in rows]
        if task not in fitted.tasks or fitted.predictions is None:
            labels = [label for (_, task_id), label in fitted.labels.items() if task_id == task.id]
            by_task[task.id] = constant_scores(task, labels, truth)
            continue
        at: NDArray[np.intp] = np.array(rows, dtype=np.intp) + len(data.pool)
        by_task[task.id] = scores_of(fitted.predictions.predictions[task.id].of(at), truth)
    return by_task
