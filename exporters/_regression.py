"""The one regression dimension that the formats of the MMSA family hold."""

import math

from annotate.errors import ExportError
from annotate.types import Dataset, DatasetRow, Dimension, Kind, Modality, Task
from exporters.manifest import dimensions

POLARITIES = ("Negative", "Neutral", "Positive")


def regression_dimension(dataset: Dataset) -> Dimension:
    """The first regression dimension whose multimodal label every row has.

    Raises `ExportError` when there is none: these formats hold nothing else.
    """
    for task in dataset.tasks:
        if task.dimension.kind is Kind.REGRESSION and task.modality is Modality.MULTIMODAL:
            return task.dimension
    raise ExportError(
        "this format holds numbers on a scale for the multimodal pass, and no regression dimension has them",
        hint="`annotate export jsonl DEST` holds every kind of label; or name M in `export.require`",
    )


def left_aside(dataset: Dataset, dimension: Dimension) -> list[str]:
    """Lines for the datasheet about labels that these formats cannot hold; empty if there are none."""
    others = [f"`{d.name}`" for d in dimensions(dataset) if d != dimension]
    if not others:
        return []
    return [f"- The labels of {', '.join(others)} are in no file: `annotate export jsonl DEST` holds them."]


def value(row: DatasetRow, dimension: Dimension, modality: Modality) -> float | None:
    """The label of a row on the scale of `dimension`; None when it has none.

    Raises `ExportError` for what is not a finite number: readers of these formats would learn from it.
    """
    label = row.labels.get(Task(dimension, modality).id)
    if label is None:
        return None
    if isinstance(label.value, str) or not math.isfinite(label.value):
        raise ExportError(
            f"the label {label.task_id} of sample {row.sample_id} is not a number",
            hint="`annotate pull --full` makes the labels again",
        )
    return float(label.value) + 0.0  # -0.0 becomes 0.0


def polarity(number: float, dimension: Dimension) -> int:
    """0, 1 or 2 (see `POLARITIES`): below, at or above the middle of the scale."""
    middle = (dimension.low + dimension.high) / 2
    return 1 + (number > middle) - (number < middle)
