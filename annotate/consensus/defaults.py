"""Which aggregator makes the labels of a dimension, and its use for the answers to one sample."""

from collections.abc import Sequence

from annotate.protocols import Aggregator
from annotate.registry import AGGREGATORS
from annotate.types import Kind, Label, Task

DEFAULTS = {Kind.REGRESSION: "mean", Kind.CLASSIFICATION: "majority", Kind.MULTILABEL: "half"}
"""Name of the aggregator by kind of dimension."""


def default_aggregator(kind: Kind) -> Aggregator:
    """The aggregator that makes the labels of dimensions of this kind."""
    return AGGREGATORS.get(DEFAULTS[kind])()


def aggregate(sample_id: str, task: Task, answers: Sequence[str]) -> Label:
    """The label that `answers` make, each of them given by another rater; at least one answer is needed."""
    votes = {sample_id: dict(enumerate(answers))}
    result = default_aggregator(task.dimension.kind).fit_predict(task.dimension, votes)[sample_id]
    return Label(sample_id, task.id, result.value, dict(result.distribution), result.raters)
