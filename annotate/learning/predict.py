"""Predictions of a trained ensemble: answers, uncertainty and representations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotate.learning.batches import CHUNK, FeatureReader, Origin, Origins, make_inputs, read_condensed
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.device import repeatable
from annotate.learning.heads.base import Head, Raw
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

    heads: dict[str, Raw]
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
    utterances of a video. Raises `ModelError` when features are
    not finite or have another width.
    """
    members = checkpoint.load(device)
    condense = {m: encoder_class(m, checkpoint.recipe).condense for m in checkpoint.extractors}
    voices = len(checkpoint.members) * checkpoint.combination.passes
    readers = bare_heads(checkpoint.tasks, checkpoint.recipe)
    predictions = {h.task.id: _empty_prediction(checkpoint, h, voices, len(sample_ids)) for h in readers}
    embeddings = np.zeros((len(sample_ids), checkpoint.recipe.hidden), np.float32)
    kept: Representations = {}
    with repeatable(0, device):
        for rows, known in _chunks(members, sample_ids, origins):
            condensed = read_condensed(read, condense, [sample_ids[i] for i in rows])
            inputs = make_inputs(condensed, checkpoint.standardisers, known)
            chunk = raw_outputs(
                members, inputs, checkpoint.combination.passes, representations=representations
            )
            embeddings[rows] = chunk.fused
            _keep(kept, rows, chunk.representations, len(sample_ids))
            for head in readers:
                part = _read(checkpoint, head, chunk.heads[head.task.id])
                whole = predictions[head.task.id]
                whole.members[:, rows], whole.mean[rows] = part.members, part.mean
                whole.epistemic[rows], whole.aleatoric[rows] = part.epistemic, part.aleatoric
    return Predictions(predictions, embeddings, kept)


def _keep(kept: Representations, rows: NDArray[np.intp], chunk: Representations, count: int) -> None:
    """Put the representations of some samples in their place. Tasks share an array while what they read is
    equal."""
    for task_id, representation in chunk.items():
        twin = next((t for t in kept if t != task_id and np.array_equal(chunk[t], representation)), None)
        if task_id not in kept:
            kept[task_id] = (
                np.zeros((count, representation.shape[1]), np.float32) if twin is None else kept[twin]
            )
        elif any(kept[t] is kept[task_id] and not np.array_equal(chunk[t], representation) for t in kept):
            kept[task_id] = kept[task_id].copy()
        kept[task_id][rows] = representation


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
    """What each member's head says, the first member's fused representation and, if wanted, the inputs of its
    heads.

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


def _empty_prediction(checkpoint: Checkpoint, head: Head, voices: int, count: int) -> TaskPrediction:
    """An empty prediction of `count` samples, to be filled."""
    none = _read(checkpoint, head, np.zeros((voices, 0, head.outputs(head.task))))
    cells = np.zeros((len(none.members), count, none.members.shape[-1]), np.float32)
    mean, epistemic, aleatoric = (np.zeros(count, np.float32) for _ in range(3))
    return TaskPrediction(head.task, cells, mean, epistemic, aleatoric, none.shares)


def _read(checkpoint: Checkpoint, head: Head, raw: Raw) -> TaskPrediction:
    task_id = head.task.id
    weights = checkpoint.combination.shares.get(task_id)
    shares = None if weights is None else np.array(weights)
    read = partial(head.read, target=checkpoint.targets[task_id], noise=checkpoint.noise.get(task_id, 0.0))
    together = read(raw, shares=shares)
    if not checkpoint.combination.voted:
        return together
    return majority_vote(together, [read(raw[[k]]) for k in range(len(raw))])
