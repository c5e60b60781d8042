"""From the outputs of the members to a `TaskPrediction`, for the heads."""

import numpy as np
import torch
from numpy.typing import NDArray

from annotate.types import Task, TaskPrediction

Shares = NDArray[np.float64] | None
"""(members,) weights of the members, summing to one; None: equal."""


def average(values: NDArray[np.float64], shares: Shares) -> NDArray[np.float64]:
    """The mean over the members, the first axis."""
    return np.asarray(values.mean(axis=0) if shares is None else np.tensordot(shares, values, axes=1))


def regression(
    task: Task,
    means: NDArray[np.float64],
    noise: float | NDArray[np.float64],
    shares: Shares = None,
) -> TaskPrediction:
    """From each member's mean (members, n) on the scale, and the standard deviation of the noise: one number,
    or (members, n) if each member predicts its own."""
    answers = np.array([float(a.value) for a in task.dimension.answers])
    spread = np.broadcast_to(np.asarray(noise, np.float64), means.shape)
    mean = average(means, shares)
    # (members, n, answers) mass of each normal between the borders half way to the neighbouring answers.
    borders = torch.from_numpy((answers[1:] + answers[:-1]) / 2)
    deviations = (borders - torch.from_numpy(means)[..., None]) / torch.from_numpy(spread.copy())[..., None]
    below = torch.special.ndtr(deviations)
    ends = torch.zeros_like(below[..., :1]), torch.ones_like(below[..., :1])
    cells = torch.cat([ends[0], below, ends[1]], dim=-1).diff(dim=-1).numpy()
    return TaskPrediction(
        task=task,
        members=cells.astype(np.float32),
        mean=mean.clip(answers[0], answers[-1]).astype(np.float32),
        epistemic=np.sqrt(average(np.square(means - mean), shares)).astype(np.float32),
        aleatoric=np.sqrt(average(np.square(spread), shares)).astype(np.float32),
        shares=shares,
    )


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
    """From the probability of each answer, (members, n, answers); both uncertainties are sums over the
    answers."""
    mean, noise = average(members, shares), average(_bernoulli_entropy(members), shares)
    return TaskPrediction(
        task=task,
        members=members.astype(np.float32),
        mean=(mean >= 0.5).sum(axis=-1).astype(np.float32),
        epistemic=np.maximum(_bernoulli_entropy(mean) - noise, 0).astype(np.float32),
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


def _bernoulli_entropy(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy in nats of independent answers, summed over the last axis."""
    bounded = p.clip(1e-12, 1 - 1e-12)
    return np.asarray(-(bounded * np.log(bounded) + (1 - bounded) * np.log1p(-bounded)).sum(axis=-1))
