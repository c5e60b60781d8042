"""Which tasks have enough labels to train; imports no torch."""

from collections.abc import Sequence

from annotate.types import Kind, Label, Modality, Task

FEWEST_LABELS = 4
"""Fewest train labels of a task that gets a head."""
FEWEST_VALID = 10
"""Fewest valid samples for early stopping, and fewest valid labels of a task to estimate its noise from.
 Stopping by five cost 7 and 3 points of accuracy with 20 and 60 labels of RAVDESS."""


def missing_labels(task: Task, labels: Sequence[Label]) -> str:
    """Which train labels a head of `task` still needs, in words; empty if none."""
    if len(labels) < FEWEST_LABELS:
        few = FEWEST_LABELS - len(labels)
        return f"{few} more train label{'s' if few > 1 else ''}"
    alike = len({label.value for label in labels}) < 2
    if task.dimension.kind is Kind.CLASSIFICATION and alike:
        return "train labels of a second class"
    if task.dimension.kind is Kind.MULTILABEL and alike:
        return "train labels that differ in an answer"
    return ""


def trainable(tasks: Sequence[Task], unimodal_labels: bool) -> tuple[Task, ...]:
    """The tasks that get a head: without `unimodal_labels` only multimodal ones, if there are any."""
    together = tuple(task for task in tasks if task.modality is Modality.MULTIMODAL)
    return tuple(tasks) if unimodal_labels or not together else together
