"""A small module learns which samples the model gets wrong, from those whose answer is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, TaskPrediction
from strategies._ensemble import Scores, bernoulli, by_mean, entropy, pieces, summed
from strategies._scored import ScoredStrategy, representation_of

FEWEST = 10
"""Labelled samples of a task that the module can learn from."""
MOST = 4096
"""Labelled samples it learns from."""
MARGIN = 1.0
"""By which the loss of the worse of a pair is to be foretold higher (ξ in the paper)."""
HIDDEN = 32
STEPS = 300


@dataclass(frozen=True, slots=True)
class _Standard:
    """Centre and spread of the representations of the labelled samples."""

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
        """(n,) by a module that starts from the same numbers every time."""
        return self.drawn_score(prediction, pool, None)

    def drawn_score(self, prediction: TaskPrediction, pool: Pool, rng: np.random.Generator | None) -> Scores:
        """(n,) what the module foretells from the representation that the task's head reads.

        The network is trained already and does not change, as in the last epochs of the paper (section 4),
        where the module's gradients stop before it. The losses are those of samples that the model has
        learned from, so they are too low; their order is what counts. With fewer than `FEWEST` labelled
        samples, or equal losses, the task is ranked by the loss that the model expects itself.
        """
        representation = representation_of(pool.representations, prediction.task.id)
        losses = _losses(prediction, pool)
        known = np.flatnonzero(np.isfinite(losses))
        if len(known) < FEWEST or np.ptp(losses[known]) == 0:  # nothing tells them apart
            return _expected(prediction)
        chance = rng or np.random.default_rng(0)
        known = chance.permutation(known)[:MOST]
        return _foretold(
            pool.known.representations[prediction.task.id][known], losses[known], representation, chance
        )


def _losses(prediction: TaskPrediction, pool: Pool) -> NDArray[np.float64]:
    """(m,) of the labelled samples; NaN where there is no label."""
    task_id = prediction.task.id
    said, labels = pool.known.predictions.get(task_id), pool.known.labels.get(task_id)
    if said is None or labels is None:
        return np.zeros(0)
    kind = prediction.task.dimension.kind
    if kind is Kind.REGRESSION:
        return np.asarray((said.mean - labels) ** 2)
    probs = np.clip(said.probs.astype(np.float64), 1e-6, 1 - 1e-6)
    if kind is Kind.MULTILABEL:
        return np.asarray(-(labels * np.log(probs) + (1 - labels) * np.log(1 - probs)).sum(axis=1))
    known = np.isfinite(labels)
    right = np.where(known, labels, 0).astype(np.intp)
    return np.where(known, -np.log(probs[np.arange(len(right)), right]), np.nan)


def _expected(prediction: TaskPrediction) -> Scores:
    """(n,) mean loss if the model is right about how sure it is."""
    kind = prediction.task.dimension.kind
    if kind is Kind.REGRESSION:
        return np.asarray(prediction.epistemic.astype(np.float64) ** 2 + prediction.aleatoric**2)
    several = kind is Kind.MULTILABEL
    return by_mean(prediction, (lambda ticked: summed(bernoulli(ticked))) if several else entropy)


def _foretold(
    known: NDArray[np.float32],
    losses: NDArray[np.float64],
    representations: NDArray[np.float32],
    rng: np.random.Generator,
) -> Scores:
    """(n,) of `representations`, by a module fitted to (m, hidden) representations with (m,) losses."""
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
    torch.set_num_threads(1)  # sums are taken in one order, so that the same seed gives the same batch
    try:
        for _ in range(STEPS):
            first, second = torch.randperm(len(representations) // 2 * 2, generator=random).reshape(2, -1)
            foretold = torch.relu(features @ inner + shift) @ outer
            worse = torch.sign(truth[first] - truth[second])
            wrong = torch.relu(MARGIN - worse * (foretold[first] - foretold[second])) * worse.abs()
            learner.zero_grad()
            wrong.mean().backward()  # type: ignore[no-untyped-call]
            learner.step()
    finally:
        torch.set_num_threads(threads)
    return inner.detach().numpy(), outer.detach().numpy(), shift.detach().numpy()
