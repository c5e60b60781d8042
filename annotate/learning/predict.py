"""What a trained ensemble says about samples: answers, how sure, and the fused code."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from annotate.learning.batches import CHUNK, Batch, FeatureReader, make_batch, read_condensed
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.device import repeatable
from annotate.learning.network import MultiTaskNet
from annotate.types import Kind, Task, TaskPrediction

Raw = NDArray[np.float64]
"""(members, n, outputs) of one head: unit scale for regression, logits for classification."""
Chunk = tuple[dict[str, Raw], NDArray[np.float32]]


def predict(
    checkpoint: Checkpoint, read: FeatureReader, sample_ids: Sequence[str], device: str = "cpu"
) -> tuple[dict[str, TaskPrediction], NDArray[np.float32]]:
    """Predictions by task id for every task that has a head, and (n, hidden) embeddings.

    The embedding is the fused code of the first member: the codes of different members share no axes.
    Features are read `CHUNK` samples at a time. Raises `ModelError` when features are not finite or have
    another width.
    """
    nets = checkpoint.networks(device)
    chunks = [_nothing(checkpoint)]
    with repeatable(0, device):
        for start in range(0, len(sample_ids), CHUNK):
            ids = sample_ids[start : start + CHUNK]
            condensed = read_condensed(read, tuple(checkpoint.extractors), ids)
            chunks.append(raw_outputs(nets, make_batch(condensed, checkpoint.standardisers).to(device)))
    raw = {task.id: np.concatenate([c[0][task.id] for c in chunks], axis=1) for task in checkpoint.tasks}
    return (
        {task.id: _prediction(checkpoint, task, raw[task.id]) for task in checkpoint.tasks},
        np.concatenate([c[1] for c in chunks]),
    )


def _nothing(checkpoint: Checkpoint) -> Chunk:
    heads: dict[str, Raw] = {
        task.id: np.zeros((len(checkpoint.members), 0, _outputs(task))) for task in checkpoint.tasks
    }
    return heads, np.zeros((0, checkpoint.recipe.hidden), np.float32)


def raw_outputs(nets: Sequence[MultiTaskNet], batch: Batch) -> Chunk:
    """By task id what each head says, and (n, hidden) the first network's fused code."""
    with torch.no_grad():
        outputs = [net(batch.values, batch.masks) for net in nets]
    heads = {
        task.id: np.stack([o.heads[task.id].double().cpu().numpy() for o in outputs])
        for task in nets[0].tasks
    }
    return heads, outputs[0].fused.cpu().numpy()


def unit_means(raw: Raw) -> NDArray[np.float64]:
    """(members, n) what a regression head says, in unit scale."""
    return raw[..., 0]


def _outputs(task: Task) -> int:
    return 1 if task.dimension.kind is Kind.REGRESSION else len(task.dimension.answers)


def _prediction(checkpoint: Checkpoint, task: Task, raw: Raw) -> TaskPrediction:
    if task.dimension.kind is Kind.CLASSIFICATION:
        return classification(task, raw)
    target = checkpoint.targets[task.id]
    return regression(task, target.centre + target.scale * unit_means(raw), checkpoint.noise[task.id])


def regression(task: Task, means: NDArray[np.float64], noise: float) -> TaskPrediction:
    """From each member's mean (members, n) on the scale and the noise's standard deviation."""
    answers = np.array([float(a.value) for a in task.dimension.answers])
    return TaskPrediction(
        task=task,
        members=_cells(means, noise, answers).astype(np.float32),
        mean=means.mean(axis=0).clip(answers[0], answers[-1]).astype(np.float32),
        epistemic=means.std(axis=0).astype(np.float32),
        aleatoric=np.full(means.shape[1], noise, np.float32),
    )


def _cells(means: NDArray[np.float64], noise: float, answers: NDArray[np.float64]) -> NDArray[np.float64]:
    """(members, n, answers) mass of each normal between the borders half way to the neighbouring answers;
    the outer cells have no outer border."""
    borders = torch.from_numpy((answers[1:] + answers[:-1]) / 2)
    below = torch.special.ndtr((borders - torch.from_numpy(means)[..., None]) / noise)
    ends = torch.zeros_like(below[..., :1]), torch.ones_like(below[..., :1])
    return torch.cat([ends[0], below, ends[1]], dim=-1).diff(dim=-1).numpy()


def classification(task: Task, logits: NDArray[np.float64]) -> TaskPrediction:
    """From each member's logits (members, n, classes); mutual information as in Houlsby et al. 2011."""
    members = torch.softmax(torch.from_numpy(logits), dim=-1).numpy()
    mean_entropy = _entropy(members).mean(axis=0)
    return TaskPrediction(
        task=task,
        members=members.astype(np.float32),
        mean=members.mean(axis=0).argmax(axis=-1).astype(np.float32),
        epistemic=np.maximum(_entropy(members.mean(axis=0)) - mean_entropy, 0).astype(np.float32),
        aleatoric=mean_entropy.astype(np.float32),
    )


def _entropy(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """In nats, over the last axis; a probability of zero adds nothing."""
    logs = np.log(probs, out=np.zeros_like(probs), where=probs > 0)
    return -(probs * logs).sum(axis=-1)
