"""Predictions of a trained ensemble: answers, uncertainty and representations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotate.learning.batches import CHUNK, FeatureReader, Origin, Origins, make_inputs, read_pooled
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.device import repeatable
from annotate.learning.heads.base import Head, RawOutputs
from annotate.learning.members import Members, ask
from annotate.learning.network import bare_heads, encoder_class
from annotate.learning.tensors import Inputs
from annotate.learning.voting import majority_vote
from annotate.types import TaskPrediction

Representations = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions and representations of n samples."""

    predictions: dict[str, TaskPrediction]
    """By task id, for every task that has a head."""
    embeddings: NDArray[np.float32]
    """(n, hidden) fused representation of the first member; those of different members are not comparable."""
    representations: Representations
    """By task id: (n, hidden) input of the first member's head, if requested; tasks whose heads read the same
    share one array."""


class _Chunk(NamedTuple):
    """Outputs for one chunk of samples."""

    heads: dict[str, RawOutputs]
    """By task id: raw outputs of each member's head."""
    fused: NDArray[np.float32]
    representations: Representations


def predict(
    checkpoint: Checkpoint,
    read: FeatureReader,
    sample_ids: Sequence[str],
    device: str = "cpu",
    origins: Origins | None = None,
    *,
    representations: bool = False,
) -> Predictions:
    """Predictions of the samples; `representations` also returns the inputs of the heads.

    Features are read about `CHUNK` samples at a time. `origins` is needed if the network reads the other
    utterances of a video. Raises `ModelError` when features are not finite or have another width.
    """
    members = checkpoint.load(device)
    pool_frames = {m: encoder_class(m, checkpoint.config).pool_frames for m in checkpoint.extractors}
    members_out = len(checkpoint.members) * checkpoint.combination.passes
    readers = bare_heads(checkpoint.tasks, checkpoint.config)
    predictions = {}
    for head in readers:
        none = _read(checkpoint, head, np.zeros((members_out, 0, head.outputs(head.task))))
        cells = np.zeros((len(none.members), len(sample_ids), none.members.shape[-1]), np.float32)
        mean, epistemic, aleatoric = (np.zeros(len(sample_ids), np.float32) for _ in range(3))
        predictions[head.task.id] = TaskPrediction(head.task, cells, mean, epistemic, aleatoric, none.shares)
    embeddings = np.zeros((len(sample_ids), checkpoint.config.hidden), np.float32)
    all_representations: Representations = {}
    with repeatable(0, device):
        for rows, known in _chunks(members, sample_ids, origins):
            pooled = read_pooled(read, pool_frames, [sample_ids[i] for i in rows])
            inputs = make_inputs(pooled, checkpoint.standardisers, known)
            chunk = raw_outputs(
                members, inputs, checkpoint.combination.passes, representations=representations
            )
            embeddings[rows] = chunk.fused
            _put(all_representations, rows, chunk.representations, len(sample_ids))
            for head in readers:
                part = _read(checkpoint, head, chunk.heads[head.task.id])
                whole = predictions[head.task.id]
                whole.members[:, rows], whole.mean[rows] = part.members, part.mean
                whole.epistemic[rows], whole.aleatoric[rows] = part.epistemic, part.aleatoric
    return Predictions(predictions, embeddings, all_representations)


def _put(whole: Representations, rows: NDArray[np.intp], chunk: Representations, count: int) -> None:
    """Copy the representations of some samples into the arrays of all samples. Tasks share an array while
    their representations are equal."""
    for task_id, representation in chunk.items():
        twin = next((t for t in whole if t != task_id and np.array_equal(chunk[t], representation)), None)
        if task_id not in whole:
            whole[task_id] = (
                np.zeros((count, representation.shape[1]), np.float32) if twin is None else whole[twin]
            )
        elif any(whole[t] is whole[task_id] and not np.array_equal(chunk[t], representation) for t in whole):
            whole[task_id] = whole[task_id].copy()
        whole[task_id][rows] = representation


def _chunks(
    members: Members, sample_ids: Sequence[str], origins: Origins | None
) -> Iterator[tuple[NDArray[np.intp], Sequence[Origin] | None]]:
    """Positions of the samples of each chunk; whole videos if the network reads neighbouring utterances."""
    if not members.net.needs_context or origins is None:
        for start in range(0, len(sample_ids), CHUNK):
            yield np.arange(start, min(start + CHUNK, len(sample_ids))), None
        return
    known = origins(sample_ids)
    order = sorted(range(len(known)), key=lambda i: (known[i].video, known[i].start_us))
    chunk: list[int] = []
    for i in order:
        if len(chunk) >= CHUNK and known[i].video != known[chunk[-1]].video:
            yield np.array(chunk), [known[j] for j in chunk]
            chunk = []
        chunk.append(i)
    if chunk:
        yield np.array(chunk), [known[j] for j in chunk]


def raw_outputs(
    members: Members, inputs: Inputs, passes: int = 1, *, representations: bool = False
) -> _Chunk:
    """The outputs of each member's heads, the first member's fused representation and, if requested, the
    inputs of its heads.

    With several `passes`, dropout stays on and each pass counts as a member.
    """
    device = next(iter(members.parameters.values())).device
    moved = Inputs(
        {m: t.to(device) for m, t in inputs.values.items()},
        {m: t.to(device) for m, t in inputs.masks.items()},
        inputs.video.to(device),
        inputs.position.to(device),
    )
    output = ask(members, moved, representations=representations)
    outputs = [output] if passes == 1 else [ask(members, moved, dropout=True) for _ in range(passes)]
    heads = {i: np.concatenate([o.heads[i].double().cpu().numpy() for o in outputs]) for i in output.heads}
    read = {
        i: representation[0].float().cpu().numpy() for i, representation in output.representations.items()
    }
    return _Chunk(heads, output.fused[0].float().cpu().numpy(), read)


def _read(checkpoint: Checkpoint, head: Head, raw: RawOutputs) -> TaskPrediction:
    task_id = head.task.id
    weights = checkpoint.combination.shares.get(task_id)
    shares = None if weights is None else np.array(weights)
    read = partial(head.read, target=checkpoint.targets[task_id], noise=checkpoint.noise.get(task_id, 0.0))
    together = read(raw, shares=shares)
    if not checkpoint.combination.voted:
        return together
    return majority_vote(together, [read(raw[[k]]) for k in range(len(raw))])
