"""Easy is what is decided, and lies where its class lies in every modality."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import UNIMODAL, Kind, Modality, Pool, Requirement, Task, TaskPrediction
from strategies._ensemble import Probs, Scores, by_mean, pieces
from strategies._scored import ScoredStrategy, representation_of

MARGIN, FUSED, SINGLE = 0.5, 0.2, 0.1
"""Weights of the gap, of the fused representation, and of the representation of each modality."""
Numbers = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class _Part:
    """One task whose representation is compared with the centres of the classes."""

    task_id: str
    weight: float


@strategy("mmal")
class Mmal(ScoredStrategy):
    """Low margin, and unlike the centre of the likeliest class (MMAL; thuiar's book, chapter 6).

    The score is -(0.5 margin + 0.2 r(fused) + 0.1 r(T) + 0.1 r(V) + 0.1 r(A)), where r is the correlation
    of the representation (fused, or of one modality) with the centre of the labelled samples of the likeliest
    class. On a regression
    scale each answer is a class. Weights of heads that do not exist are left out and the rest scaled up.
    It ranks regression and classification tasks.
    """

    kinds = frozenset({Kind.REGRESSION, Kind.CLASSIFICATION})
    needs = frozenset({Requirement.MODEL, Requirement.REPRESENTATIONS, Requirement.LABELS})

    def score(self, prediction: TaskPrediction, pool: Pool) -> Scores:
        """(n,) minus (0.5 margin + 0.2 r of the fused representation + 0.1 r of each modality's) over the
        weights.

        r is the correlation of a sample's representation with the mean representation of the labelled samples
        of the class that the multimodal head thinks likeliest; 0 where a class has no label yet. On a scale
        each answer is a class. Without a multimodal head the task itself is used; modalities without a head
        are left out.
        """
        multimodal = Task(prediction.task.dimension, Modality.MULTIMODAL).id
        fused = pool.predictions.get(multimodal, prediction)
        margin = by_mean(fused, _margin)
        likely = by_mean(fused, lambda probs: probs.argmax(axis=1)).astype(np.intp)
        unimodal = [Task(fused.task.dimension, m).id for m in UNIMODAL if m is not fused.task.modality]
        parts = [_Part(fused.task.id, FUSED)]
        parts += [_Part(task_id, SINGLE) for task_id in unimodal if task_id in pool.predictions]
        total = MARGIN * margin
        classes = _classes(fused.task, pool.known.labels.get(fused.task.id, np.zeros(0)))
        for part in parts:
            total += part.weight * _likeness(part.task_id, pool, classes, likely)
        return -total / (MARGIN + sum(part.weight for part in parts))


def _margin(probs: Probs) -> Probs:
    if probs.shape[1] < 2:
        return np.ones(len(probs), np.float32)
    first = np.partition(probs, -2, axis=1)
    return first[:, -1] - first[:, -2]


def _classes(task: Task, labels: NDArray[np.float64]) -> NDArray[np.intp]:
    """(m,) the class of each labelled sample, for regression the nearest answer; -1 if there is no label."""
    known = np.isfinite(labels)
    if task.dimension.kind is Kind.CLASSIFICATION:
        return np.where(known, labels, -1).astype(np.intp)
    values = np.array([float(answer.value) for answer in task.dimension.answers])
    nearest = np.abs(np.where(known, labels, 0)[:, None] - values).argmin(axis=1)
    return np.where(known, nearest, -1)


def _likeness(task_id: str, pool: Pool, classes: NDArray[np.intp], likely: NDArray[np.intp]) -> Scores:
    """(n,) correlation of each sample's representation with the centre of its likeliest class."""
    representation = representation_of(pool.representations, task_id)
    centres = np.zeros((int(max(likely.max(initial=0), classes.max(initial=0))) + 1, representation.shape[1]))
    for number in np.unique(classes[classes >= 0]):
        centres[number] = pool.known.representations[task_id][classes == number].mean(
            axis=0, dtype=np.float64
        )
    standard = _standard(centres).astype(np.float32)
    result = np.empty(len(representation))
    for rows in pieces(len(representation)):
        result[rows] = np.einsum("nd,nd->n", _standard(representation[rows]), standard[likely[rows]])
    return result


def _standard(points: Numbers) -> Numbers:
    """(n, d) centred and of length one, so that a product is a correlation; 0 for constant rows."""
    apart = points - points.mean(axis=1, keepdims=True)
    length = np.linalg.norm(apart, axis=1, keepdims=True)
    return np.asarray(apart / np.where(length > 0, length, 1))
