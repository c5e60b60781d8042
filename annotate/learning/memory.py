"""Computes a batch in smaller pieces when the memory of the device is full."""

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

Result = TypeVar("Result")


class MemoryLimit:
    """Limit on the samples that are computed at once; halved whenever the memory of the device is full."""

    def __init__(self) -> None:
        self.rows = 0
        """The limit; 0: none."""

    def compute(
        self, inputs: Inputs, whole_videos: bool, work: Callable[[Sequence[Tensor]], Result]
    ) -> Result:
        """The result of `work`, called with pieces of `inputs` as positions (b,) of samples, or without
        pieces for everything at once; called again with smaller pieces while memory is short.

        Raises `ModelError` when not even a single sample (a single video, with `whole_videos`) fits.
        """
        while True:
            pieces = cut(inputs, self.rows, whole_videos)
            try:
                return work(pieces)
            except torch.OutOfMemoryError as error:
                reason = str(error).partition(". ")[0]
            # Outside the except block, because the error holds references to tensors.
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
def report_out_of_memory() -> Iterator[None]:
    """Raises `ModelError` when the memory is full outside of `MemoryLimit`, as on a CPU."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch has no exception class for a full memory of the CPU, or for sizes beyond 64 bits.
        message = str(error).lower()
        out_of_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not out_of_memory and "allocate memory" not in message and "overflow" not in message:
            raise
        raise ModelError(
            "the memory is too small for a network of this size",
            hint="lower train.hidden, train.members, train.batch_size or the sizes in train.options",
        ) from error


def _largest(inputs: Inputs, pieces: Sequence[Tensor]) -> int:
    return max((len(piece) for piece in pieces), default=inputs.video.shape[-1])


def cut(inputs: Inputs, rows: int, whole_videos: bool) -> list[Tensor]:
    """Positions (b,) of the samples of each piece, at most `rows` per piece (a longer video is a piece by
    itself); empty if one piece holds all. With a leading member axis, all members have the same videos.
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
    """`forward(inputs)`, computed piece by piece; samples are axis `dim` of the inputs and 1 of the outputs.

    With gradients, only the outputs of each piece are kept, and the backward pass recomputes the piece
    (gradient checkpointing, Chen et al. 2016); losses and weightings read the whole batch. Penalties are
    averaged over the samples.
    """
    if not pieces:
        return forward(inputs)
    outputs = []
    for rows in pieces:
        piece = Inputs(
            {m: t.index_select(dim, rows) for m, t in inputs.values.items()},
            {m: t.index_select(dim, rows) for m, t in inputs.masks.items()},
            inputs.video.index_select(dim, rows),
            inputs.position.index_select(dim, rows),
        )
        if torch.is_grad_enabled():
            outputs.append(checkpoint(forward, piece, use_reentrant=False))
        else:
            outputs.append(forward(piece))
    return _join(outputs, pieces)


def _join(outputs: Sequence[Output], pieces: Sequence[Tensor]) -> Output:
    """The outputs of all pieces in the original order of the samples."""
    rows = torch.cat(list(pieces))
    back = torch.argsort(rows)

    def join(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), dim=1).index_select(1, back)

    heads = {task_id: join([output.heads[task_id] for output in outputs]) for task_id in outputs[0].heads}
    shares = [len(piece) / len(rows) for piece in pieces]
    penalty = torch.stack([o.penalty * share for o, share in zip(outputs, shares, strict=True)]).sum(dim=0)
    representations = {
        task_id: join([output.representations[task_id] for output in outputs])
        for task_id in outputs[0].representations
    }
    return Output(heads, join([output.fused for output in outputs]), penalty, representations)
