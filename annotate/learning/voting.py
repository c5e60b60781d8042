"""Majority vote of the members instead of their mean."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from annotate.learning.heads._answers import classification, multilabel
from annotate.types import Kind, TaskPrediction

OPINION = 1e-3
"""Weight of a member's own probabilities beside its vote: too small to outvote anybody with fewer than a
thousand members, but enough to break ties by confidence."""


def majority_vote(together: TaskPrediction, each: Sequence[TaskPrediction]) -> TaskPrediction:
    """The majority vote of the members, or the median for regression; `together` is their mean.

    Each member votes for one class, or for each ticked answer of a multilabel task. Probabilities are then
    shares of the votes, and disagreement is vote entropy (Dagan and Engelson 1995). The disagreement of a
    regression task stays as it is.
    """
    task = together.task
    if task.dimension.kind is Kind.REGRESSION:
        return replace(together, mean=np.median([one.mean for one in each], axis=0).astype(np.float32))
    if task.dimension.kind is Kind.CLASSIFICATION:
        chosen = np.stack([one.mean for one in each]).astype(np.intp)
        return classification(task, _ballots(np.eye(len(task.dimension.answers))[chosen], together))
    return multilabel(task, _ballots(np.stack([one.ticked for one in each]).astype(float), together))


def _ballots(votes: NDArray[np.float64], together: TaskPrediction) -> NDArray[np.float64]:
    """(members, n, answers) probabilities after voting."""
    return (1 - OPINION) * votes + OPINION * together.members
