"""A vote of the members in place of their mean."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from annotate.learning.heads._answers import classification, multilabel
from annotate.types import Kind, TaskPrediction

OPINION = 1e-3
"""How much of its own probabilities a member keeps beside its vote: too little to outvote anybody while there
are fewer than a thousand, enough to end a tie by who is surer."""


def majority_vote(together: TaskPrediction, each: Sequence[TaskPrediction]) -> TaskPrediction:
    """The majority of what each member answers by itself, of a number the median; `together`: their mean.

    A class is one vote, and so is each tick of a multilabel task; probabilities are then shares of the votes,
    and disagreement is vote entropy (Dagan & Engelson 1995). Disagreement about a number stays as it is.
    """
    task = together.task
    if task.dimension.kind is Kind.REGRESSION:
        return replace(together, mean=np.median([one.mean for one in each], axis=0).astype(np.float32))
    if task.dimension.kind is Kind.CLASSIFICATION:
        chosen = np.stack([one.mean for one in each]).astype(np.intp)
        return classification(task, _ballots(np.eye(len(task.dimension.answers))[chosen], together))
    return multilabel(task, _ballots(np.stack([one.ticked for one in each]).astype(float), together))


def _ballots(votes: NDArray[np.float64], together: TaskPrediction) -> NDArray[np.float64]:
    """(members, n, answers)"""
    return (1 - OPINION) * votes + OPINION * together.members
