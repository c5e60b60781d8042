"""Makes a batch fit into memory: where it does not, it is computed in ever smaller pieces, and says so."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from annotate.errors import ModelError
from annotate.learning.tensors import Inputs, Output

log = logging.getLogger(__name__)

Found = TypeVar("Found")


class Room:
    """How many samples are computed at once; halved whenever the memory of the device is full."""

    def __init__(self) -> None:
        self.rows = 0
        """0: as many as there are."""

    def compute(self, inputs: Inputs, whole_videos: bool, work: Callable[[Sequence[Tensor]], Found]) -> Found:
        """What `work` makes of pieces of `inputs`, each the positions (b,) of its samples; done again from
        the start in smaller ones while memory is short. Without pieces: of everything at once.

        Raises `ModelError` when not even a single sample (a single video, with `whole_videos`) fits.
        """
        while True:
            pieces = cut(inputs, self.rows, whole_videos)
            try:
                return work(pieces)
            except (
                torch.OutOfMemoryError
            ) as error:  # it holds on to tensors: left before anything else is done
                reason = str(error).partition(". ")[0]
            self._halve(inputs, pieces, whole_videos, reason)

    def _halve(self, inputs: Inputs, pieces: Sequence[Tensor], whole_videos: bool, reason: str) -> None:
        device, before = inputs.video.device, _largest(inputs, pieces)
        self.rows = max(1, before // 2)
        if _largest(inputs, cut(inputs, self.rows, whole_videos)) == before:
            unit = "video" if whole_videos else "sample"
            raise ModelError(
                f"the memory of {device} is too small even for one {unit} at a time: {reason}",
                hint="lower train.members or train.hidden, or use `--device cpu`",
            )
        if device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning(
            "the memory of %s is full: from now on %d samples instead of %d are computed at once, "
            "which takes longer and changes nothing else", device, self.rows, before,
        )  # fmt: skip


@contextmanager
def fits_or_says() -> Iterator[None]:
    """What lies within is too large for the memory even before there is a batch to divide, or on a CPU,
    where nothing is divided: `ModelError` says so."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        raise ModelError(
            "the memory is too small for a network of this size",
            hint="lower train.hidden, train.members, train.batch_size or the sizes in train.options",
        ) from error


def _is_of_memory(error: Exception) -> bool:
    """Torch has no class of its own for a full memory of the CPU, or for sizes beyond 64 bits."""
    words = str(error).lower()
    plain = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return plain or "allocate memory" in words or "overflow" in words


def _largest(inputs: Inputs, pieces: Sequence[Tensor]) -> int:
    return max((len(piece) for piece in pieces), default=inputs.video.shape[-1])


def cut(inputs: Inputs, rows: int, whole_videos: bool) -> list[Tensor]:
    """Positions (b,) of the samples of each piece, at most `rows` in one (a longer video is a piece by
    itself); none where one piece holds all. Members may stand in front of the samples, all with the same
    videos.
    """
    count = inputs.video.shape[-1]
    if not 0 < rows < count:
        return []
    if not whole_videos:
        return list(torch.split(torch.arange(count, device=inputs.video.device), rows))
    video = inputs.video.reshape(-1, count)[0]
    _, sizes = torch.unique(video, return_counts=True)
    pieces: list[list[Tensor]] = [[]]
    for one in torch.split(torch.argsort(video, stable=True), sizes.tolist()):
        if pieces[-1] and sum(map(len, pieces[-1])) + len(one) > rows:
            pieces.append([])
        pieces[-1].append(one)
    return [torch.cat(piece) for piece in pieces] if len(pieces) > 1 else []


def in_pieces(
    forward: Callable[[Inputs], Output], inputs: Inputs, pieces: Sequence[Tensor], dim: int = 1
) -> Output:
    """`forward(inputs)`, computed piece by piece; samples are in `dim` of the inputs, in 1 of the outputs.

    With gradients, only what comes out is kept of each piece, and the backward pass computes it again, piece
    by piece (Chen et al. 2016): whatever stands behind, losses and weightings, sees the whole batch. A
    penalty is the mean over the samples.
    """
    if not pieces:
        return forward(inputs)
    parts = [_take(inputs, piece, dim) for piece in pieces]
    if torch.is_grad_enabled():
        made = [checkpoint(forward, part, use_reentrant=False) for part in parts]
    else:
        made = [forward(part) for part in parts]
    return _join(made, pieces)


def _take(inputs: Inputs, rows: Tensor, dim: int) -> Inputs:
    return Inputs(
        {m: t.index_select(dim, rows) for m, t in inputs.values.items()},
        {m: t.index_select(dim, rows) for m, t in inputs.masks.items()},
        inputs.video.index_select(dim, rows),
        inputs.position.index_select(dim, rows),
    )


def _join(made: Sequence[Output], pieces: Sequence[Tensor]) -> Output:
    """In the order that the samples had."""
    rows = torch.cat(list(pieces))
    back = torch.argsort(rows)

    def join(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), dim=1).index_select(1, back)

    heads = {task_id: join([output.heads[task_id] for output in made]) for task_id in made[0].heads}
    shares = [len(piece) / len(rows) for piece in pieces]
    penalty = torch.stack([o.penalty * share for o, share in zip(made, shares, strict=True)]).sum(dim=0)
    representations = {
        task_id: join([output.representations[task_id] for output in made])
        for task_id in made[0].representations
    }
    return Output(heads, join([output.fused for output in made]), penalty, representations)
