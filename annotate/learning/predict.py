"""What a trained ensemble says about samples: answers, how sure, and the fused code."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from annotate.learning.batches import CHUNK, FeatureReader, Place, Places, make_inputs, read_condensed
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.device import repeatable
from annotate.learning.heads._base import Head, Raw
from annotate.learning.members import Members, ask
from annotate.learning.network import bare_heads, encoder_class
from annotate.learning.tensors import Inputs
from annotate.learning.votes import elect
from annotate.types import TaskPrediction

Chunk = tuple[dict[str, Raw], NDArray[np.float32]]


def predict(
    checkpoint: Checkpoint,
    read: FeatureReader,
    sample_ids: Sequence[str],
    device: str = "cpu",
    places: Places | None = None,
) -> tuple[dict[str, TaskPrediction], NDArray[np.float32]]:
    """Predictions by task id for every task that has a head, and (n, hidden) embeddings.

    The embedding is the fused code of the first member: the codes of different members share no axes.
    Features are read about `CHUNK` samples at a time, and nothing but the answers is kept. `places` is needed
    where the network looks at the other utterances of a video. Raises `ModelError` when features are not
    finite or have another width.
    """
    members = checkpoint.load(device)
    condense = {m: encoder_class(m, checkpoint.recipe).condense for m in checkpoint.extractors}
    voices = len(checkpoint.members) * checkpoint.combination.passes
    readers = bare_heads(checkpoint.tasks, checkpoint.recipe)
    said = {h.task.id: _unsaid(checkpoint, h, voices, len(sample_ids)) for h in readers}
    embeddings = np.zeros((len(sample_ids), checkpoint.recipe.hidden), np.float32)
    with repeatable(0, device):
        for rows, known in _chunks(members, sample_ids, places):
            condensed = read_condensed(read, condense, [sample_ids[i] for i in rows])
            inputs = make_inputs(condensed, checkpoint.standardisers, known)
            heads, fused = raw_outputs(members, inputs, checkpoint.combination.passes)
            embeddings[rows] = fused
            for head in readers:
                _put(said[head.task.id], rows, _read(checkpoint, head, heads[head.task.id]))
    return said, embeddings


def _chunks(
    members: Members, sample_ids: Sequence[str], places: Places | None
) -> Iterator[tuple[NDArray[np.intp], Sequence[Place] | None]]:
    """Positions of samples that are asked together; whole videos where the network looks at neighbours."""
    if not members.net.needs_context or places is None:
        for start in range(0, len(sample_ids), CHUNK):
            yield np.arange(start, min(start + CHUNK, len(sample_ids))), None
        return
    known = places(sample_ids)
    order = sorted(range(len(known)), key=lambda i: (known[i].video, known[i].start_us))
    chunk: list[int] = []
    for i in order:
        if len(chunk) >= CHUNK and known[i].video != known[chunk[-1]].video:
            yield np.array(chunk), [known[j] for j in chunk]
            chunk = []
        chunk.append(i)
    if chunk:
        yield np.array(chunk), [known[j] for j in chunk]


def raw_outputs(members: Members, inputs: Inputs, passes: int = 1) -> Chunk:
    """By task id what each member's head says, and (n, hidden) the first member's fused code.

    With several `passes` dropout is left on, and each pass counts as a member.
    """
    device = next(iter(members.parameters.values())).device
    moved = Inputs(
        {m: t.to(device) for m, t in inputs.values.items()},
        {m: t.to(device) for m, t in inputs.masks.items()},
        inputs.video.to(device),
        inputs.position.to(device),
    )
    output = ask(members, moved)
    said = [output] if passes == 1 else [ask(members, moved, dropout=True) for _ in range(passes)]
    heads = {i: np.concatenate([o.heads[i].double().cpu().numpy() for o in said]) for i in output.heads}
    return heads, output.fused[0].float().cpu().numpy()


def _unsaid(checkpoint: Checkpoint, head: Head, voices: int, count: int) -> TaskPrediction:
    """For so many samples, nothing said yet."""
    none = _read(checkpoint, head, np.zeros((voices, 0, head.outputs(head.task))))
    cells = np.zeros((len(none.members), count, none.members.shape[-1]), np.float32)
    mean, epistemic, aleatoric = (np.zeros(count, np.float32) for _ in range(3))
    return TaskPrediction(head.task, cells, mean, epistemic, aleatoric, none.shares)


def _put(said: TaskPrediction, rows: NDArray[np.intp], part: TaskPrediction) -> None:
    """What was said about some of the samples, in its place."""
    said.members[:, rows] = part.members
    said.mean[rows], said.epistemic[rows], said.aleatoric[rows] = part.mean, part.epistemic, part.aleatoric


def _read(checkpoint: Checkpoint, head: Head, raw: Raw) -> TaskPrediction:
    task_id = head.task.id
    said = checkpoint.combination.shares.get(task_id)
    shares = None if said is None else np.array(said)
    read = partial(head.read, target=checkpoint.targets[task_id], noise=checkpoint.noise.get(task_id, 0.0))
    together = read(raw, shares=shares)
    if not checkpoint.combination.voted:
        return together
    return elect(together, [read(raw[[k]]) for k in range(len(raw))])
