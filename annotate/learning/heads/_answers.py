"""From what the members said to a `TaskPrediction`, for the heads."""

import numpy as np
import torch
from numpy.typing import NDArray

from annotate.types import Task, TaskPrediction


def regression(task: Task, means: NDArray[np.float64], noise: float | NDArray[np.float64]) -> TaskPrediction:
    """From each member's mean (members, n) on the scale, and the noise's standard deviation: one number, or
    (members, n) where each member says its own."""
    answers = np.array([float(a.value) for a in task.dimension.answers])
    spread = np.broadcast_to(np.asarray(noise, np.float64), means.shape)
    return TaskPrediction(
        task=task,
        members=_cells(means, spread, answers).astype(np.float32),
        mean=means.mean(axis=0).clip(answers[0], answers[-1]).astype(np.float32),
        epistemic=means.std(axis=0).astype(np.float32),
        aleatoric=np.sqrt(np.square(spread).mean(axis=0)).astype(np.float32),
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


def classification(task: Task, members: NDArray[np.float64]) -> TaskPrediction:
    """From each member's probabilities (members, n, classes); mutual information: Houlsby et al. 2011."""
    mean_entropy = entropy(members).mean(axis=0)
    return TaskPrediction(
        task=task,
        members=members.astype(np.float32),
        mean=members.mean(axis=0).argmax(axis=-1).astype(np.float32),
        epistemic=np.maximum(entropy(members.mean(axis=0)) - mean_entropy, 0).astype(np.float32),
        aleatoric=mean_entropy.astype(np.float32),
    )


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis."""
    return torch.softmax(torch.from_numpy(logits), dim=-1).numpy()


def entropy(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """In nats, over the last axis; a probability of zero adds nothing."""
    logs = np.log(probs, out=np.zeros_like(probs), where=probs > 0)
    return -(probs * logs).sum(axis=-1)
