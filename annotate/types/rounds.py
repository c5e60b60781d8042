"""What a round ranks and asks: a model's predictions for the pool, and what was chosen of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.types.tasks import Task


class Role(StrEnum):
    """Why a sample is in a batch."""

    ACTIVE = "active"
    """Chosen by the query strategy from train."""
    AUDIT = "audit"
    """Drawn uniformly from the train pool, never trained on: what promises are checked with."""
    HOLDOUT = "holdout"
    """A valid or test sample, drawn uniformly: what scores are measured with."""


@dataclass(frozen=True, slots=True)
class TaskPrediction:
    """What the ensemble says about one task for the n samples of a pool."""

    task: Task
    members: NDArray[np.float32]
    """(members, n, answers) probability of each answer, rows sum to one. For a regression task it is
    the predictive normal of each member, integrated over the cell around each answer. For a multilabel
    task it is the probability that each answer is ticked, apart from the others: rows have any sum."""
    mean: NDArray[np.float32]
    """(n,) expected value of a regression task on its own scale; the index of the likeliest class; of a
    multilabel task the number of answers that are `ticked`."""
    epistemic: NDArray[np.float32]
    """(n,) regression: standard deviation between members; classification: mutual information in nats;
    multilabel: that of each answer, summed."""
    aleatoric: NDArray[np.float32]
    """(n,) regression: standard deviation of the noise; classification: mean entropy of a member in nats;
    multilabel: that of each answer, summed."""
    shares: NDArray[np.float64] | None = None
    """(members,) how much each member's word counts, summing to one; None: equally."""

    @property
    def probs(self) -> NDArray[np.float32]:
        """(n, answers) mean over the members."""
        return np.asarray(self.average(self.members), np.float32)

    def average(self, values: NDArray[Any]) -> NDArray[Any]:
        """The mean over the members, which stand in front of `values`."""
        return values.mean(axis=0) if self.shares is None else np.tensordot(self.shares, values, axes=1)

    @property
    def ticked(self) -> NDArray[np.bool_]:
        """(n, answers) of a multilabel task: what is at least as likely ticked as not."""
        return np.asarray(self.probs >= 0.5)

    def of(self, rows: Sequence[int] | NDArray[np.intp]) -> "TaskPrediction":
        """The same for some of the samples, in this order."""
        return TaskPrediction(
            self.task,
            self.members[:, rows],
            self.mean[rows],
            self.epistemic[rows],
            self.aleatoric[rows],
            self.shares,
        )


@dataclass(frozen=True, slots=True)
class Pool:
    """The candidates of a round, ordered by sample id, as a query strategy sees them."""

    sample_ids: NDArray[np.str_]
    """(n,)"""
    predictions: Mapping[str, TaskPrediction]
    """By task id; empty while no model exists (cold start)."""
    missing: Mapping[str, NDArray[np.bool_]]
    """By task id: (n,) True where the label is still missing, so a question would be worth something."""
    embeddings: NDArray[np.float32]
    """(n, d) what distances are measured in: the fused code, or scaled features at cold start."""
    labelled_embeddings: NDArray[np.float32]
    """(labelled, d) the same for the train samples that are labelled or already asked."""

    def __len__(self) -> int:
        return len(self.sample_ids)


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen samples, those to ask for first in front."""

    indices: NDArray[np.intp]
    """(k,) positions in the pool, each at most once."""
    scores: NDArray[np.float64]
    """(k,) higher means ask sooner."""
