"""The weight of each label in the loss: higher for rare classes, small groups and raters who agree.

The factors that `train.balance` names are multiplied. Only relative weights matter: the loss is divided by
their sum, so that a sample with weight 2 counts like two samples.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.types import Kind, Label, Task

Array = NDArray[np.float64]

PRIOR_VOTES = 4.0
"""Votes that the noise of the task counts for, next to the noise that the raters of one label show."""


@dataclass(frozen=True, slots=True)
class Weigher:
    """Weights the labels of one task, from statistics of its train labels."""

    task: Task
    balance: Collection[str]
    """Some of ``class``, ``group``, ``raters``."""
    frequency: Mapping[float | str, int]
    """Number of labels by value."""
    votes: "Votes | None"
    """None if no label has two raters, so that their agreement is unknown."""

    @classmethod
    def fit(cls, task: Task, balance: Collection[str], labels: Sequence[Label]) -> "Weigher":
        """From the train labels."""
        return cls(task, balance, Counter(label.value for label in labels), Votes.fit(task, labels))

    def weights(self, labels: Sequence[Label | None], groups: Sequence[object]) -> Array:
        """(n,) weights with mean 1 over the labels, 0 where there is none."""
        known = np.array([label is not None for label in labels], bool)
        factors = known.astype(np.float64)
        if "class" in self.balance and self.task.dimension.kind is Kind.CLASSIFICATION:
            # A class that is unknown from train counts like one that occurs once. Regression and multilabel
            # tasks have no classes: weighting rare numbers would bias the mean away from the raters'.
            frequencies = [0 if x is None else max(self.frequency.get(x.value, 0), 1) for x in labels]
            factors *= [1 / frequency if frequency else 0.0 for frequency in frequencies]
        if "group" in self.balance:
            # One over the number of labels in the group, so that every group counts the same.
            sizes = Counter(group for group, there in zip(groups, known, strict=True) if there)
            factors *= [1 / max(sizes[group], 1) for group in groups]
        if "raters" in self.balance and self.votes is not None:
            factors *= [0.0 if label is None else self.votes.weight(label) for label in labels]
        return factors * known.sum() / factors.sum() if factors.any() else factors


def label_weights(
    weighers: Sequence[Weigher],
    sample_ids: Sequence[str],
    labels: Mapping[tuple[str, str], Label],
    groups: Sequence[object],
) -> dict[str, NDArray[np.float32]]:
    """By task id: (n,) weight of each label; `groups` are those of the samples."""
    result = {}
    for weigher in weighers:
        labels_or_none = [labels.get((sample_id, weigher.task.id)) for sample_id in sample_ids]
        result[weigher.task.id] = weigher.weights(labels_or_none, groups).astype(np.float32)
    return result


@dataclass(frozen=True, slots=True)
class Votes:
    """Variance of the raters' votes of one task, within and between samples.

    The one-way analysis of variance behind the intraclass correlation (Shrout and Fleiss 1979, case 1), of
    votes as `_moments` sees them.
    """

    task: Task
    within: float
    """Variance of a vote around the mean vote of all raters for the sample."""
    between: float
    """Variance of that mean between samples."""

    @classmethod
    def fit(cls, task: Task, labels: Sequence[Label]) -> "Votes | None":
        """None when fewer than two labels have the votes of two raters or more, or when all agree."""
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
        """Inverse variance of the label around the mean of all labels: variance between samples plus noise.

        The noise is the variance of one vote, divided by the number of raters. The variance among the label's
        own raters is shrunk towards that of the task (Smyth 2004, section 4); without that, the weight would
        be proportional to the reliability of a mean of k raters (Spearman and Brown 1910).
        """
        noise, raters = self.within, max(label.raters, 1)
        moments = _moments(self.task, label)
        if raters > 1 and moments is not None:
            noise = (PRIOR_VOTES * self.within + raters * moments[1]) / (PRIOR_VOTES + raters - 1)
        return 1 / (self.between + noise / raters)


def _moments(task: Task, label: Label) -> tuple[Array, float] | None:
    """Mean of the raters' votes as a vector, and their variance around it, summed over the vector.

    A vote is the number for regression, and a one-hot or multi-hot vector otherwise (Light and Margolin
    1971). None if the label has no distribution of its raters.
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
