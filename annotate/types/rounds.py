"""What a round ranks and asks: a model's predictions for the pool, and what was chosen of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.types.tasks import Kind, Task


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
        if self.shares is None:
            return values.mean(axis=0)
        return np.tensordot(self.shares.astype(values.dtype), values, axes=1)  # else a copy twice as wide

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

    def and_of(self, other: "TaskPrediction") -> "TaskPrediction":
        """The same for these samples and, behind them, for those of another prediction by the same model."""
        return TaskPrediction(
            self.task,
            np.concatenate([self.members, other.members], axis=1),
            np.concatenate([self.mean, other.mean]),
            np.concatenate([self.epistemic, other.epistemic]),
            np.concatenate([self.aleatoric, other.aleatoric]),
            self.shares,
        )


class Requirement(StrEnum):
    """What a query strategy reads beyond the embeddings."""

    MODEL = "model"
    """Predictions, `Pool.predictions`."""
    REPRESENTATIONS = "codes"
    """What the heads of the network read, `Pool.representations`; only a model has them."""
    LABELS = "labels"
    """What people said and the model says of the labelled samples: the rest of `LabeledSet`."""
    VOTES = "votes"
    """What each rater said, one by one: `Pool.votes` and `LabeledSet.votes`."""


@dataclass(frozen=True, slots=True)
class Votes:
    """Single answers of raters to one task, of some of the samples; each array (votes,)."""

    rows: NDArray[np.intp]
    """Positions of the samples, in the pool or among the known."""
    raters: NDArray[np.intp]
    """The same person has the same number, in the pool and among the known."""
    answers: NDArray[np.intp]
    """Numbers of classes."""

    def of(self, rows: NDArray[np.intp]) -> "Votes":
        """Those of some of the samples, by their places there."""
        order = np.argsort(rows, kind="stable")
        at = np.minimum(np.searchsorted(rows, self.rows, sorter=order), max(len(rows) - 1, 0))
        places = order[at] if len(rows) else at
        there = rows[places] == self.rows if len(rows) else np.zeros(len(self.rows), dtype=bool)
        return Votes(places[there], self.raters[there], self.answers[there])


@dataclass(frozen=True, slots=True)
class LabeledSet:
    """The train samples that are labelled or asked already: what need not be learned again."""

    embeddings: NDArray[np.float32]
    """(m, d)"""
    representations: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """By task id: (m, hidden) as `Pool.representations`."""
    predictions: Mapping[str, TaskPrediction] = field(default_factory=dict)
    """By task id, of the m samples; the model was trained on many of them."""
    labels: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """By task id: (m,) values on the scale, or indices of classes; of a multilabel task (m, answers) of 1 and
    0. NaN where nothing is labelled."""
    votes: Mapping[str, Votes] = field(default_factory=dict)
    """By task id, when a strategy needs them."""

    def __len__(self) -> int:
        return len(self.embeddings)


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
    """(n, d) what distances are measured in: the fused representation, or scaled features at cold start."""
    known: LabeledSet
    representations: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """By task id: (n, hidden) what the task's head reads; tasks that read the same have the same array. Empty
    unless the strategy needs them."""
    groups: Mapping[str, NDArray[np.intp]] = field(default_factory=dict)
    """By ``speaker`` and ``video``: (n,) samples of the same one have the same number."""
    device: str = "cpu"
    """Where a strategy may compute what is worth it."""
    votes: Mapping[str, Votes] = field(default_factory=dict)
    """By task id: what was said of candidates that may be asked again; only for who needs it."""

    def __len__(self) -> int:
        return len(self.sample_ids)

    def asked(self) -> list[str]:
        """Ids of the tasks that a label is missing of and that the model knows, sorted: the order in which
        the settings name them decides nothing."""
        return sorted(t for t, wanted in self.missing.items() if wanted.any() and t in self.predictions)

    def unknown(self) -> bool:
        """Whether labels are missing, and the model knows none of their tasks."""
        return not self.asked() and any(wanted.any() for wanted in self.missing.values())

    def of(self, rows: NDArray[np.intp]) -> "Pool":
        """The same for some of the candidates, in this order."""
        return replace(
            self,
            sample_ids=self.sample_ids[rows],
            predictions={t: p.of(rows) for t, p in self.predictions.items()},
            missing={t: wanted[rows] for t, wanted in self.missing.items()},
            embeddings=self.embeddings[rows],
            representations=rows_of(self.representations, rows),
            groups={word: numbers[rows] for word, numbers in self.groups.items()},
            votes={t: votes.of(rows) for t, votes in self.votes.items()},
        )

    def of_kinds(self, kinds: Collection[Kind]) -> "Pool":
        """The same with tasks of these kinds only."""
        fitting = {t: p for t, p in self.predictions.items() if p.task.dimension.kind in kinds}
        missing = {t: wanted for t, wanted in self.missing.items() if t in fitting}
        return replace(self, predictions=fitting, missing=missing)

    def knowing(self, rows: NDArray[np.intp]) -> LabeledSet:
        """What is known, and behind it some of the candidates, of which nobody has said anything yet."""
        known, some = self.known, self.of(rows)
        added: dict[int, NDArray[np.float32]] = {}
        read = [task_id for task_id in known.representations if task_id in self.representations]
        for task_id in read:
            if id(self.representations[task_id]) not in added:
                both = [known.representations[task_id], some.representations[task_id]]
                added[id(self.representations[task_id])] = np.concatenate(both)
        believed = {t: p for t, p in known.predictions.items() if t in some.predictions}
        return LabeledSet(
            np.concatenate([known.embeddings, some.embeddings]),
            {task_id: added[id(self.representations[task_id])] for task_id in read},
            {t: said.and_of(some.predictions[t]) for t, said in believed.items()},
            {t: np.concatenate([said, _nothing(len(rows), said)]) for t, said in known.labels.items()},
            known.votes,
        )


def _nothing(count: int, like: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full((count, *like.shape[1:]), np.nan)


def rows_of(
    representations: Mapping[str, NDArray[np.float32]], rows: NDArray[np.intp]
) -> dict[str, NDArray[np.float32]]:
    """Tasks that have the same array still have the same one."""
    taken: dict[int, NDArray[np.float32]] = {}
    for representation in representations.values():
        if id(representation) not in taken:
            taken[id(representation)] = representation[rows]
    return {task_id: taken[id(representation)] for task_id, representation in representations.items()}


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen samples, those to ask for first in front."""

    indices: NDArray[np.intp]
    """(k,) positions in the pool, each at most once."""
    scores: NDArray[np.float64]
    """(k,) higher means ask sooner."""
    inclusion_probabilities: NDArray[np.float64] | None = None
    """(k,) how likely each was to be drawn, where the strategy draws and knows; else None."""
