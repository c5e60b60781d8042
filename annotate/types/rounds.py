"""What a query strategy reads and returns: the pool with the model's predictions, and its selection."""

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
    """Drawn uniformly from the train pool and never trained on; promises are verified on these."""
    HOLDOUT = "holdout"
    """A valid or test sample, drawn uniformly; scores are computed on these."""


@dataclass(frozen=True, slots=True)
class TaskPrediction:
    """The ensemble's prediction of one task for the n samples of a pool."""

    task: Task
    members: NDArray[np.float32]
    """(members, n, answers) probability of each answer; rows sum to one. For a regression task it is the
    predictive normal of each member, integrated over the cell around each answer. For a multilabel task it is
    the independent probability that each answer is ticked, so rows have any sum."""
    mean: NDArray[np.float32]
    """(n,) regression: expected value on the task's own scale; classification: index of the likeliest class;
    multilabel: number of answers that are `ticked`."""
    epistemic: NDArray[np.float32]
    """(n,) regression: standard deviation between members; classification: mutual information in nats;
    multilabel: the sum over the answers."""
    aleatoric: NDArray[np.float32]
    """(n,) regression: standard deviation of the noise; classification: mean entropy of a member in nats;
    multilabel: the sum over the answers."""
    shares: NDArray[np.float64] | None = None
    """(members,) weights of the members, which sum to one; None: equal weights."""

    @property
    def probs(self) -> NDArray[np.float32]:
        """(n, answers) mean over the members."""
        return np.asarray(self.average(self.members), np.float32)

    def average(self, values: NDArray[Any]) -> NDArray[Any]:
        """The weighted mean over the members, the first axis of `values`."""
        if self.shares is None:
            return values.mean(axis=0)
        return np.tensordot(
            self.shares.astype(values.dtype), values, axes=1
        )  # float64 weights would copy to float64

    @property
    def ticked(self) -> NDArray[np.bool_]:
        """(n, answers) for a multilabel task: answers that are ticked with a probability of at least ½."""
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
        """The predictions of these samples, followed by those of another prediction by the same model."""
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
    """`Pool.predictions`."""
    REPRESENTATIONS = "codes"
    """`Pool.representations`: the inputs of the network's heads."""
    LABELS = "labels"
    """Labels and predictions of the labelled samples: the rest of `LabeledSet`."""
    VOTES = "votes"
    """Every single answer of a rater: `Pool.votes` and `LabeledSet.votes`."""


@dataclass(frozen=True, slots=True)
class Votes:
    """Single answers of raters to one task; each array is (votes,)."""

    rows: NDArray[np.intp]
    """Positions of the samples in the pool or in the labelled set."""
    raters: NDArray[np.intp]
    """Indices of the raters; a person has the same one in the pool and in the labelled set."""
    answers: NDArray[np.intp]
    """Indices of classes."""

    def of(self, rows: NDArray[np.intp]) -> "Votes":
        """The votes on some of the samples; `rows` of the result are positions in `rows`."""
        order = np.argsort(rows, kind="stable")
        at = np.minimum(np.searchsorted(rows, self.rows, sorter=order), max(len(rows) - 1, 0))
        places = order[at] if len(rows) else at
        there = rows[places] == self.rows if len(rows) else np.zeros(len(self.rows), dtype=bool)
        return Votes(places[there], self.raters[there], self.answers[there])


@dataclass(frozen=True, slots=True)
class LabeledSet:
    """The train samples that are labelled or asked already."""

    embeddings: NDArray[np.float32]
    """(m, d) as `Pool.embeddings`."""
    representations: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """(m, hidden) by task id, as `Pool.representations`."""
    predictions: Mapping[str, TaskPrediction] = field(default_factory=dict)
    """By task id, for the m samples; the model was trained on many of them."""
    labels: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """By task id: (m,) values on the scale or class indices; for a multilabel task (m, answers) of 1 and 0.
    NaN: no label."""
    votes: Mapping[str, Votes] = field(default_factory=dict)
    """By task id; empty unless the strategy needs them."""

    def __len__(self) -> int:
        return len(self.embeddings)


@dataclass(frozen=True, slots=True)
class Pool:
    """The candidates of a round, ordered by sample id, as a query strategy reads them."""

    sample_ids: NDArray[np.str_]
    """(n,)"""
    predictions: Mapping[str, TaskPrediction]
    """By task id; empty while no model exists (cold start)."""
    missing: Mapping[str, NDArray[np.bool_]]
    """By task id: (n,) True where the label is missing, so that a question would be useful."""
    embeddings: NDArray[np.float32]
    """(n, d) for distances between samples: the fused representation, or scaled features at cold start."""
    known: LabeledSet
    representations: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """By task id: (n, hidden) the inputs of the task's head; tasks whose heads read the same share one array.
    Empty unless the strategy needs them."""
    groups: Mapping[str, NDArray[np.intp]] = field(default_factory=dict)
    """By ``speaker`` and ``video``: (n,) index of the speaker or video of each sample."""
    device: str = "cpu"
    """Device that a strategy may use for large computations."""
    votes: Mapping[str, Votes] = field(default_factory=dict)
    """By task id: answers about candidates that may be asked again; empty unless the strategy needs them."""

    def __len__(self) -> int:
        return len(self.sample_ids)

    def asked(self) -> list[str]:
        """Ids of the tasks that the model predicts and that lack a label of some candidate, sorted, so that
        the order in the settings has no effect."""
        return sorted(t for t, wanted in self.missing.items() if wanted.any() and t in self.predictions)

    def unknown(self) -> bool:
        """Whether labels are missing, but the model predicts none of their tasks."""
        return not self.asked() and any(wanted.any() for wanted in self.missing.values())

    def of(self, rows: NDArray[np.intp]) -> "Pool":
        """The pool of some of the candidates, in this order."""
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
        """The pool with tasks of these kinds only."""
        fitting = {t: p for t, p in self.predictions.items() if p.task.dimension.kind in kinds}
        missing = {t: wanted for t, wanted in self.missing.items() if t in fitting}
        return replace(self, predictions=fitting, missing=missing)

    def knowing(self, rows: NDArray[np.intp]) -> LabeledSet:
        """The labelled set, followed by these candidates as if they were asked, without labels."""
        known, some = self.known, self.of(rows)
        added: dict[int, NDArray[np.float32]] = {}
        read = [task_id for task_id in known.representations if task_id in self.representations]
        for task_id in read:
            if id(self.representations[task_id]) not in added:
                both = [known.representations[task_id], some.representations[task_id]]
                added[id(self.representations[task_id])] = np.concatenate(both)
        predicted = {t: p for t, p in known.predictions.items() if t in some.predictions}
        return LabeledSet(
            np.concatenate([known.embeddings, some.embeddings]),
            {task_id: added[id(self.representations[task_id])] for task_id in read},
            {t: p.and_of(some.predictions[t]) for t, p in predicted.items()},
            {
                t: np.concatenate([labels, np.full((len(rows), *labels.shape[1:]), np.nan)])
                for t, labels in known.labels.items()
            },
            known.votes,
        )


def rows_of(
    representations: Mapping[str, NDArray[np.float32]], rows: NDArray[np.intp]
) -> dict[str, NDArray[np.float32]]:
    """The arrays restricted to `rows`; tasks that shared an array still share one."""
    taken: dict[int, NDArray[np.float32]] = {}
    for representation in representations.values():
        if id(representation) not in taken:
            taken[id(representation)] = representation[rows]
    return {task_id: taken[id(representation)] for task_id, representation in representations.items()}


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen samples, the first to ask first."""

    indices: NDArray[np.intp]
    """(k,) different positions in the pool."""
    scores: NDArray[np.float64]
    """(k,) higher: ask sooner."""
    inclusion_probabilities: NDArray[np.float64] | None = None
    """(k,) for strategies that draw at random and know these probabilities; else None."""
