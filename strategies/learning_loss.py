"""Learning loss: a small module predicts the loss of unlabelled samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, TaskPrediction
from strategies._ensemble import Scores, bernoulli, by_mean, entropy, pieces, summed
from strategies._scored import ScoredStrategy, representation_of

FEWEST = 10
"""Fewest labelled samples of a task that the module learns from."""
MOST = 4096
"""Most labelled samples that the module learns from."""
MARGIN = 1.0
"""Margin of the ranking loss (ξ in the paper)."""
HIDDEN = 32
STEPS = 300


@dataclass(frozen=True, slots=True)
class _Standard:
    """Standardiser: mean and spread of the representations of the labelled samples."""

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]

    def of(self, representations: NDArray[np.float32]) -> NDArray[np.float32]:
        return (representations - self.mean) / self.spread


@strategy("learning-loss")
class LearningLoss(ScoredStrategy):
    """Highest loss predicted by a module that learned to rank losses (Yoo and Kweon 2019).

    A small module predicts the loss of a sample from the representation that the head reads. It learns to
    rank the losses of pairs of labelled samples, with margin 1. If a task has fewer than 10 labelled
    samples, or if all their losses are equal, the score is the loss that the model itself expects: the
    entropy, or epistemic² + noise² for a regression task.
    """

    kinds = frozenset(Kind)
    needs = frozenset({Requirement.MODEL, Requirement.REPRESENTATIONS, Requirement.LABELS})

    def score(self, prediction: TaskPrediction, pool: Pool) -> Scores:
        """(n,) predicted losses of a module that always starts from the same weights."""
        return self.drawn_score(prediction, pool, None)

    def drawn_score(self, prediction: TaskPrediction, pool: Pool, rng: np.random.Generator | None) -> Scores:
        """(n,) predicted losses.

        The network is already trained and does not change, as in the last epochs of the paper (section 4).
        The losses are of samples that the model was trained on, so they are too low, but only their order
        counts.
        """
        representation = representation_of(pool.representations, prediction.task.id)
        losses = _losses(prediction, pool)
        known = np.flatnonzero(np.isfinite(losses))
        if len(known) < FEWEST or np.ptp(losses[known]) == 0:  # there is no order to learn
            return _expected(prediction)
        generator = rng or np.random.default_rng(0)
        known = generator.permutation(known)[:MOST]
        return _predicted_losses(
            pool.known.representations[prediction.task.id][known], losses[known], representation, generator
        )


def _losses(prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
    """(m,) losses of the labelled samples; NaN if there is no label."""
    task_id = prediction.task.id
    predicted, labels = pool.known.predictions.get(task_id), pool.known.labels.get(task_id)
    if predicted is None or labels is None:
        return np.zeros(0)
    kind = prediction.task.dimension.kind
    if kind is Kind.REGRESSION:
        return np.asarray((predicted.mean - labels) ** 2)
    probs = np.clip(predicted.probs.astype(np.float64), 1e-6, 1 - 1e-6)
    if kind is Kind.MULTILABEL:
        return np.asarray(-(labels * np.log(probs) + (1 - labels) * np.log(1 - probs)).sum(axis=1))
    known = np.isfinite(labels)
    right = np.where(known, labels, 0).astype(np.intp)
    return np.where(known, -np.log(probs[np.arange(len(right)), right]), np.nan)


def _expected(prediction: TaskPrediction) -> Scores:
    """(n,) expected loss if the model is calibrated."""
    kind = prediction.task.dimension.kind
    if kind is Kind.REGRESSION:
        return np.asarray(prediction.epistemic.astype(np.float64) ** 2 + prediction.aleatoric**2)
    several = kind is Kind.MULTILABEL
    return by_mean(prediction, (lambda ticked: summed(bernoulli(ticked))) if several else entropy)


def _predicted_losses(
    known: NDArray[np.float32],
    losses: NDArray[np.float64],
    representations: NDArray[np.float32],
    rng: np.random.Generator,
) -> Scores:
    """(n,) losses of `representations`, by a module fitted to (m, hidden) known ones with (m,) losses."""
    spread = known.std(axis=0)
    standard = _Standard(known.mean(axis=0), np.where(spread > 1e-6, spread, 1).astype(np.float32))
    inner, outer, shift = _fit(standard.of(known), losses, rng)
    result = np.empty(len(representations))
    for rows in pieces(len(representations)):
        result[rows] = np.maximum(standard.of(representations[rows]) @ inner + shift, 0) @ outer
    return result


def _fit(
    representations: NDArray[np.float32], losses: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Weights (hidden, HIDDEN), (HIDDEN,) and shifts (HIDDEN,) of a module that ranks the losses of pairs."""
    import torch

    random = torch.Generator().manual_seed(int(rng.integers(2**31)))
    width = representations.shape[1]
    inner = (torch.randn(width, HIDDEN, generator=random) / width**0.5).requires_grad_()
    outer = (torch.randn(HIDDEN, generator=random) / HIDDEN**0.5).requires_grad_()
    shift = torch.zeros(HIDDEN, requires_grad=True)
    learner = torch.optim.Adam([inner, outer, shift], lr=1e-2, weight_decay=5e-4)
    features, truth = torch.from_numpy(representations), torch.from_numpy(losses)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a fixed order of summation: the same seed gives the same batch
    try:
        for _ in range(STEPS):
            first, second = torch.randperm(len(representations) // 2 * 2, generator=random).reshape(2, -1)
            predicted = torch.relu(features @ inner + shift) @ outer
            worse = torch.sign(truth[first] - truth[second])
            wrong = torch.relu(MARGIN - worse * (predicted[first] - predicted[second])) * worse.abs()
            learner.zero_grad()
            wrong.mean().backward()  # type: ignore[no-untyped-call]
            learner.step()
    finally:
        torch.set_num_threads(threads)
    return inner.detach().numpy(), outer.detach().numpy(), shift.detach().numpy()
