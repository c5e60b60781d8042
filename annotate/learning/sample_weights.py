"""How much each label counts in the loss: rare classes more, large groups less, labels of agreed raters more.

What `train.balance` names is multiplied. Only weights relative to each other matter: the loss is divided by
their sum, so that a sample with weight 2 is a sample that stands there twice.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.types import Kind, Label, Task

Array = NDArray[np.float64]

PRIOR_VOTES = 4.0
"""How many votes the task's own noise is worth beside what the few raters of one label show."""


@dataclass(frozen=True, slots=True)
class Weigher:
    """What the train labels of one task say about how much a label of it counts."""

    task: Task
    balance: Collection[str]
    """Of ``class``, ``group``, ``raters``."""
    frequency: Mapping[float | str, int]
    """How often a value occurs."""
    votes: "Votes | None"
    """None where no label has two raters: nothing is known about who agrees."""

    @classmethod
    def fit(cls, task: Task, balance: Collection[str], labels: Sequence[Label]) -> "Weigher":
        """From the train labels."""
        return cls(task, balance, Counter(label.value for label in labels), Votes.fit(task, labels))

    def weights(self, labels: Sequence[Label | None], groups: Sequence[object]) -> Array:
        """(n,) 1 on average over the labels that there are; 0 where there is none."""
        known = np.array([label is not None for label in labels], bool)
        factors = known.astype(np.float64)
        if "class" in self.balance:
            factors *= self._by_class(labels)
        if "group" in self.balance:
            factors *= _by_group(known, groups)
        if "raters" in self.balance and self.votes is not None:
            factors *= [0.0 if label is None else self.votes.weight(label) for label in labels]
        return factors * known.sum() / factors.sum() if factors.any() else factors

    def _by_class(self, labels: Sequence[Label | None]) -> Array:
        """One over the frequency of the class among the train labels; one that train does not know counts
        like one seen once. Scales and several answers at once have no classes: a number that weighs by how
        rare it is would pull the mean away from what raters say."""
        if self.task.dimension.kind is not Kind.CLASSIFICATION:
            return np.ones(len(labels))
        return np.array([0.0 if x is None else 1 / max(self.frequency.get(x.value, 0), 1) for x in labels])


def label_weights(
    weighers: Sequence[Weigher],
    sample_ids: Sequence[str],
    labels: Mapping[tuple[str, str], Label],
    groups: Sequence[object],
) -> dict[str, NDArray[np.float32]]:
    """By task id: (n,) how much each label counts; `groups` are those of the samples."""
    result = {}
    for weigher in weighers:
        here = [labels.get((sample_id, weigher.task.id)) for sample_id in sample_ids]
        result[weigher.task.id] = weigher.weights(here, groups).astype(np.float32)
    return result


def _by_group(known: NDArray[np.bool_], groups: Sequence[object]) -> Array:
    """One over the number of labels of the same task and group, so that every group counts the same."""
    sizes = Counter(group for group, there in zip(groups, known, strict=True) if there)
    return np.array([1 / max(sizes[group], 1) for group in groups])


@dataclass(frozen=True, slots=True)
class Votes:
    """How far the raters of one task are apart, on the same sample and from sample to sample.

    The one-way analysis of variance behind the intraclass correlation (Shrout and Fleiss 1979, case 1), of
    votes as `_moments` sees them.
    """

    task: Task
    within: float
    """Variance of one vote about what all raters would say of the sample on average."""
    between: float
    """Variance of that average from sample to sample."""

    @classmethod
    def fit(cls, task: Task, labels: Sequence[Label]) -> "Votes | None":
        """None when fewer than two labels tell what two raters or more said, or when all agree."""
        moments = [
            (label.raters, *pair)
            for label in labels
            if label.raters > 1 and (pair := _moments(task, label)) is not None
        ]
        if len(moments) < 2:
            return None
        counts, spreads = np.array([(k, s) for k, _, s in moments], np.float64).T
        means, total = np.array([mean for _, mean, _ in moments]), counts.sum()
        within = float((counts * spreads).sum() / (total - len(moments)))
        centre = (counts[:, None] * means).sum(axis=0) / total
        apart = float((counts * np.square(means - centre).sum(axis=1)).sum() / (len(moments) - 1))
        usual = (total - np.square(counts).sum() / total) / (len(moments) - 1)
        return cls(task, within, max((apart - within) / usual, 0.0)) if within > 0 else None

    def weight(self, label: Label) -> float:
        """One over the variance of the label about the mean of all labels: what samples differ in, and noise.

        The noise of one vote is the task's, corrected by what the label's own raters show (a variance shrunk
        towards the common one: Smyth 2004, section 4), divided by the number of raters. Uncorrected it would
        be, but for a factor, the reliability of a mean of k raters (Spearman and Brown 1910).
        """
        noise, raters = self.within, max(label.raters, 1)
        moments = _moments(self.task, label)
        if raters > 1 and moments is not None:
            noise = (PRIOR_VOTES * self.within + raters * moments[1]) / (PRIOR_VOTES + raters - 1)
        return 1 / (self.between + noise / raters)


def _moments(task: Task, label: Label) -> tuple[Array, float] | None:
    """Mean of the raters' votes as a vector, and their variance about it, summed over the vector.

    A vote for a number is that number, for a class a one among zeros (Light and Margolin 1971), for several
    answers a one at each. None where the label does not tell the shares of its raters.
    """
    answers = task.dimension.answers
    shares = np.array([label.distribution.get(a.alias, 0.0) for a in answers])
    if task.dimension.kind is Kind.MULTILABEL:
        return (shares, float((shares * (1 - shares)).sum())) if label.distribution else None
    if shares.sum() <= 0:
        return None
    shares = shares / shares.sum()
    if task.dimension.kind is Kind.CLASSIFICATION:
        return shares, float(1 - np.square(shares).sum())
    values = np.array([float(a.value) for a in answers])
    mean = float(shares @ values)
    return np.array([mean]), float(shares @ np.square(values - mean))
