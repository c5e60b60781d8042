"""From what the members said to a `TaskPrediction`, for the heads."""

import numpy as np
import torch
from numpy.typing import NDArray

from annotate.types import Task, TaskPrediction

Shares = NDArray[np.float64] | None
"""(members,) how much each member's word counts, summing to one; None: equally."""


def average(values: NDArray[np.float64], shares: Shares) -> NDArray[np.float64]:
    """The mean over the members, which stand in front."""
    return np.asarray(values.mean(axis=0) if shares is None else np.tensordot(shares, values, axes=1))


def regression(
    task: Task,
    means: NDArray[np.float64],
    noise: float | NDArray[np.float64],
    shares: Shares = None,
) -> TaskPrediction:
    """From each member's mean (members, n) on the scale, and the noise's standard deviation: one number, or
    (members, n) where each member says its own."""
    answers = np.array([float(a.value) for a in task.dimension.answers])
    spread = np.broadcast_to(np.asarray(noise, np.float64), means.shape)
    mean = average(means, shares)
    return TaskPrediction(
        task=task,
        members=_cells(means, spread, answers).astype(np.float32),
        mean=mean.clip(answers[0], answers[-1]).astype(np.float32),
        epistemic=np.sqrt(average(np.square(means - mean), shares)).astype(np.float32),
        aleatoric=np.sqrt(average(np.square(spread), shares)).astype(np.float32),
        shares=shares,
    )


def _cells(
    means: NDArray[np.float64], noise: NDArray[np.float64], answers: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(members, n, answers) mass of each normal between the borders half way to the neighbouring answers;
    the outer cells have no outer border."""
    borders = torch.from_numpy((answers[1:] + answers[:-1]) / 2)
    below = torch.special.ndtr(
        (borders - torch.from_numpy(means)[..., None]) / torch.from_numpy(noise.copy())[..., None]
    )
    ends = torch.zeros_like(below[..., :1]), torch.ones_like(below[..., :1])
    return torch.cat([ends[0], below, ends[1]], dim=-1).diff(dim=-1).numpy()


def classification(task: Task, members: NDArray[np.float64], shares: Shares = None) -> TaskPrediction:
    """From each member's probabilities (members, n, classes); mutual information: Houlsby et al. 2011."""
    mean_entropy, probs = average(entropy(members), shares), average(members, shares)
    return TaskPrediction(
        task=task,
        members=members.astype(np.float32),
        mean=probs.argmax(axis=-1).astype(np.float32),
        epistemic=np.maximum(entropy(probs) - mean_entropy, 0).astype(np.float32),
        aleatoric=mean_entropy.astype(np.float32),
        shares=shares,
    )


def multilabel(task: Task, members: NDArray[np.float64], shares: Shares = None) -> TaskPrediction:
    """From the probability of each answer, (members, n, answers): disagreement and noise are sums over the
    answers."""
    mean, noise = average(members, shares), average(_of_ticks(members), shares)
    return TaskPrediction(
        task=task,
        members=members.astype(np.float32),
        mean=(mean >= 0.5).sum(axis=-1).astype(np.float32),
        epistemic=np.maximum(_of_ticks(mean) - noise, 0).astype(np.float32),
        aleatoric=noise.astype(np.float32),
        shares=shares,
    )


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis."""
    return torch.softmax(torch.from_numpy(logits), dim=-1).numpy()


def entropy(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """In nats, over the last axis; a probability of zero adds nothing."""
    logs = np.log(probs, out=np.zeros_like(probs), where=probs > 0)
    return -(probs * logs).sum(axis=-1)


def _of_ticks(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy in nats of ticks that are independent, summed over the last axis."""
    bounded = p.clip(1e-12, 1 - 1e-12)
    return np.asarray(-(bounded * np.log(bounded) + (1 - bounded) * np.log1p(-bounded)).sum(axis=-1))
