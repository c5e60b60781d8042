"""What each step of an epoch sees: which samples, and whose labels among them count."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from annotate.learning.batches import Batch
from annotate.learning.model_config import ModelConfig


class Step(NamedTuple):
    """One step of all members."""

    indices: Tensor
    """(members, b) train samples, on the device."""
    counted: Tensor
    """(members, tasks) on the CPU: whether the member learns from the task, which has a label here."""


class Sampler:
    """Divides the train samples into steps.

    `joint`: every sample once per epoch, in another order for each member; all its labels count.
    `one-task`: every label once per epoch; a step holds samples with a label of one task and only that
    counts. Which task is drawn, the same for all members: the steps of all tasks stand in one random order,
    so a task is drawn as often as it has labels (random task per step: Collobert & Weston 2008; in
    proportion to the data: Liu et al. 2019, MT-DNN, section 3).

    Where the network looks at neighbours, steps are made of whole videos, as many as fit into `batch_size`
    samples (a longer video is a step by itself), the same for all members.
    """

    def __init__(
        self, train: Batch, task_ids: Sequence[str], recipe: ModelConfig, *, members: int, whole_videos: bool,
        sample_weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        """`train` is without members in front; `sample_weights` (members, n)."""
        self.device, self.members, self.size = train.device, members, recipe.batch_size
        known = torch.stack([train.known[i] & (train.weights[i] > 0) for i in task_ids], dim=-1).cpu()
        self.labelled = known.expand(members, *known.shape)  # (members, n, tasks)
        if sample_weights is not None:
            self.labelled = self.labelled & (sample_weights.cpu() > 0)[:, :, None]
        everything = torch.ones(len(train), dtype=torch.bool)
        self.shares = (
            [known[:, i] for i in range(len(task_ids))] if recipe.sampling == "one-task" else [everything]
        )
        self.apart = recipe.sampling == "one-task"
        self.videos = _videos(train) if whole_videos else None

    @property
    def steps(self) -> int:
        """How many an epoch has, whole videos aside."""
        return sum(-(-int(share.sum()) // self.size) for share in self.shares)

    def epoch(self, generators: Sequence[torch.Generator]) -> Iterator[Step]:
        """The steps of one epoch; `generators`, one per member."""
        steps = [(i, part) for i, share in enumerate(self.shares) for part in self._divide(share, generators)]
        if self.apart:
            mixed = torch.randperm(len(steps), generator=generators[0])
            steps = [steps[j] for j in mixed.tolist()]
        everyone = torch.arange(self.members)[:, None]
        for task, indices in steps:
            counted = self.labelled[everyone, indices].any(dim=1)
            if self.apart:
                counted &= torch.arange(counted.shape[1]) == task
            yield Step(indices.to(self.device), counted)

    def _divide(self, share: Tensor, generators: Sequence[torch.Generator]) -> Sequence[Tensor]:
        """The samples where `share` (n,) is True, as (members, b) each."""
        if self.videos is None:
            rows = share.nonzero()[:, 0]
            orders = [rows[torch.randperm(len(rows), generator=g)] for g in generators]
            return torch.split(torch.stack(orders), self.size, dim=1) if len(rows) else []
        videos = [video for video in self.videos if share[video].any()]
        order = torch.randperm(len(videos), generator=generators[0]).tolist()
        packed = _pack([videos[j] for j in order], self.size)
        return [indices.expand(self.members, -1) for indices in packed]


def _videos(train: Batch) -> list[Tensor]:
    """The samples of each video, as they follow each other."""
    video, position = train.inputs.video.tolist(), train.inputs.position.tolist()
    rows_by_video: dict[int, list[int]] = {}
    for i in sorted(range(len(video)), key=lambda i: (video[i], position[i])):
        rows_by_video.setdefault(video[i], []).append(i)
    return [torch.tensor(rows) for rows in rows_by_video.values()]


def _pack(videos: Sequence[Tensor], size: int) -> Iterator[Tensor]:
    """Videos one after the other, up to `size` samples together."""
    held: list[Tensor] = []
    for video in videos:
        if held and sum(map(len, held)) + len(video) > size:
            yield torch.cat(held)
            held = []
        held.append(video)
    if held:
        yield torch.cat(held)
