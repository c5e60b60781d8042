"""Gradients of the heads' last layers, kept as factors: how a label would change the model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ModelError
from annotate.types import Kind, Pool, TaskPrediction
from strategies._distance import Points, Rows, Wide, blocks
from strategies._scored import representation_of
from strategies._tasks import asked_tasks

Factors = NDArray[np.float32]
LEAST = 1e-6
"""Squared distance, as a share of both squared norms, below which float32 cannot tell two gradients apart."""


@dataclass(frozen=True, slots=True)
class Gradients:
    """Gradients of n samples, as factors: the gradient of a linear layer is error times representation.

    With g = e ⊗ h, |g - g'|² = |e|²|h|² + |e'|²|h'|² - 2 (e·e')(h·h'), so no array of
    answers x hidden is needed.
    """

    pairs: tuple[tuple[Factors, Points], ...]
    """Errors (n, answers of all tasks that read these representations) and representations (n, hidden)."""
    sizes: NDArray[np.float32]
    """(n,) squared norm."""

    def between(self, rows: Rows, others: Rows) -> Wide:
        """(r, o) squared distances; 0 if float32 cannot separate them, or if nothing is asked."""
        both = self.sizes[rows].astype(np.float64)[:, None] + self.sizes[others]
        gaps = both.copy()
        for errors, representations in self.pairs:
            gaps -= (
                2 * (errors[rows] @ errors[others].T) * (representations[rows] @ representations[others].T)
            )
        return np.where((gaps > LEAST * both) & (self.sizes[rows] > 0)[:, None], gaps, 0.0)

    def nearest(self, others: Rows) -> Wide:
        """(n,) squared distance of each sample to the nearest of `others`."""
        nearest_gaps = np.empty(len(self.sizes))
        for rows in blocks(len(nearest_gaps)):
            gaps = self.sizes[rows, None] + self.sizes[others]
            least = LEAST * gaps
            for errors, representations in self.pairs:
                shared = errors[rows] @ errors[others].T
                shared *= representations[rows] @ representations[others].T
                gaps -= 2 * shared
            gaps[gaps <= least] = 0
            nearest_gaps[rows] = np.where(self.sizes[rows] > 0, gaps.min(axis=1), 0)
        return nearest_gaps


def wanted_gradients(pool: Pool) -> Gradients:
    """Gradients of the pool; a task whose label is known adds nothing.

    Raises `ModelError` without a model, or when its predictions or representations are not numbers.
    """
    wanted = {t: pool.missing[t] for t in asked_tasks(pool)}
    predictions = {t: pool.predictions[t] for t in wanted}
    return gradients(predictions, pool.representations, wanted, len(pool))


def gradients(
    predictions: Mapping[str, TaskPrediction], representations: Mapping[str, Points],
    wanted: Mapping[str, NDArray[np.bool_]], n: int,
) -> Gradients:  # fmt: skip
    """Gradients of these tasks; squared distances are summed over them.

    Tasks that read the same representations are one layer. Raises `ModelError` when a prediction or a
    representation is not a number, or a representation is absent.
    """
    errors: dict[int, list[Factors]] = {}
    layers: dict[int, Points] = {}
    for task_id in sorted(predictions):
        error = error_of(predictions[task_id])
        if not wanted[task_id].all():
            error = np.where(wanted[task_id][:, None], error, np.float32(0))
        representation = representation_of(representations, task_id)
        errors.setdefault(id(representation), []).append(error)
        layers[id(representation)] = representation
    pairs = tuple(
        (some[0] if len(some) == 1 else np.concatenate(some, axis=1), layers[layer])
        for layer, some in errors.items()
    )
    sizes = np.zeros(n, dtype=np.float32)
    for error, representation in pairs:
        sizes += np.einsum("nc,nc->n", error, error) * np.einsum("nd,nd->n", representation, representation)
    if not np.isfinite(sizes).all():
        raise ModelError(
            "the model's predictions are not all numbers", hint="train it again: `annotate train --force`"
        )
    return Gradients(pairs, sizes)


def error_of(prediction: TaskPrediction) -> Factors:
    """(n, answers) gradient of the loss by the head's outputs if the likeliest answer were the label.

    Classification: p - onehot of the likeliest (Ash et al. 2020, section 3); multilabel: p - [p >= ½] of each
    answer. Regression, (n, 1): the standard deviation of the prediction as a share of the scale, which is the
    expected size of the squared error's gradient.
    """
    dimension = prediction.task.dimension
    if dimension.kind is Kind.REGRESSION:
        spread = np.hypot(prediction.epistemic, prediction.aleatoric) / (dimension.high - dimension.low)
        return np.asarray(spread, dtype=np.float32)[:, None]
    probs = prediction.probs
    if dimension.kind is Kind.MULTILABEL:
        return np.asarray(probs - (probs >= 0.5), dtype=np.float32)
    probs[np.arange(len(probs)), probs.argmax(axis=1)] -= 1
    return probs
