"""Improved greedy sampling for regression: far in features and in predictions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ModelError
from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from strategies._distance import CENTRES, Points, Rows, Wide, blocks, finite, middlemost, squared_between
from strategies._farthest import farthest_first
from strategies._tasks import asked_tasks

Answers = NDArray[np.float64]
"""(n, tasks)"""


@strategy("igs")
class IGS:
    """Far from the labelled samples in features and predictions (Wu, Lin and Huang 2019; Wu and Huang 2018).

    Regression only. Repeatedly takes the sample with the largest min d(x, x') ∏ₜ |ŷₜ(x) - yₜ(x')| over
    the labelled and chosen samples x'. A prediction replaces a label that is missing. Several tasks: Wu
    and Huang 2018.
    """

    needs = frozenset({Requirement.MODEL, Requirement.LABELS})
    kinds = frozenset({Kind.REGRESSION})

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Exact greedy; the score is the value of the product.

        Without labelled samples it starts at the sample nearest the mean. Raises `ModelError` without a model
        or when its predictions are not numbers, `FeatureError` when an embedding is not a number.
        """
        tasks = asked_tasks(pool)
        points, labelled = finite(pool.embeddings), finite(pool.known.embeddings)
        k = min(k, len(points))
        if k == 0:
            return Selection(np.zeros(0, dtype=np.intp), np.zeros(0))
        predicted = _predicted(pool, tasks)
        known_values = _columns([_known_values(pool, t) for t in tasks], len(labelled))
        wanted = _columns([pool.missing[t] for t in tasks], len(points)).any(axis=1)
        first = [] if len(labelled) else [middlemost(points, rng)]
        centres, values = (points[first], predicted[first]) if first else (labelled, known_values)
        bounds = np.where(wanted, _least(points, predicted, centres, values), 0.0)
        farthest = bounds.max()
        bounds[first] = -np.inf

        def between(rows: Rows, some: Rows) -> Wide:
            return squared_between(points[rows], points[some]) * _apart(predicted[rows], predicted[some])

        chosen, gaps = farthest_first(bounds, between, k - len(first), rng)
        gaps = np.append(np.full(len(first), farthest), gaps)
        return Selection(np.append(np.array(first, dtype=np.intp), chosen), np.sqrt(gaps))


def _columns(columns: list[NDArray[Any]], n: int) -> Answers:
    return np.array(columns, dtype=np.float64).reshape(len(columns), n).T


def _predicted(pool: Pool, tasks: list[str]) -> Answers:
    predicted = _columns([pool.predictions[t].mean for t in tasks], len(pool))
    if not np.isfinite(predicted).all():
        raise ModelError(
            "the model's predictions are not all numbers", hint="train it anew: `annotate train --force`"
        )
    return predicted


def _known_values(pool: Pool, task_id: str) -> Wide:
    """(m,) labels, or the prediction if there is no label."""
    known = pool.known
    labels = known.labels.get(task_id, np.full(len(known), np.nan))
    guess = known.predictions[task_id].mean if task_id in known.predictions else np.zeros(len(known))
    return np.where(np.isnan(labels), guess, labels)


def _apart(values: Answers, others: Answers) -> Wide:
    """(n, m) product over the tasks of squared differences."""
    product = np.ones((len(values), len(others)))
    for mine, theirs in zip(values.T, others.T, strict=True):
        product *= (mine[:, None] - theirs) ** 2
    return product


def _least(points: Points, values: Answers, centres: Points, centre_values: Answers) -> Wide:
    """(n,) the smallest squared product to any centre. The nearest is smallest in float32; its distance is
    then taken from the difference."""
    smallest = np.full(len(points), np.inf)
    middle = centres.mean(axis=0, dtype=np.float64).astype(np.float32)
    for start in range(0, len(centres), CENTRES):
        some = slice(start, start + CENTRES)
        moved, narrow = centres[some] - middle, centre_values[some].astype(np.float32)
        for rows in blocks(len(points)):
            block = points[rows] - middle
            best = _products(block, moved, values[rows].astype(np.float32), narrow).argmin(axis=1)
            apart = (block - moved[best]).astype(np.float64)
            products = np.einsum("nd,nd->n", apart, apart)
            products *= ((values[rows] - centre_values[some][best]) ** 2).prod(axis=1)
            np.minimum(smallest[rows], products, out=smallest[rows])
    return smallest


def _products(
    points: Points, centres: Points, values: NDArray[np.float32], centre_values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(n, m) squared distance times the squared differences of the answers."""
    gaps = np.asarray(points @ centres.T, np.float32)
    gaps *= -2
    gaps += np.einsum("nd,nd->n", centres, centres)
    gaps += np.einsum("nd,nd->n", points, points)[:, None]
    for mine, theirs in zip(values.T, centre_values.T, strict=True):
        difference = mine[:, None] - theirs
        difference *= difference
        gaps *= difference
    return gaps
