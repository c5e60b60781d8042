"""Divides an epoch into steps: the samples of each step, and the tasks whose labels count."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from annotate.learning.batches import Batch
from annotate.learning.model_config import ModelConfig


class Step(NamedTuple):
    """One step of all members."""

    indices: Tensor
    """(members, b) indices of train samples, on the device."""
    counted: Tensor
    """(members, tasks) on the CPU: whether the member learns from the task, which has a label in the step."""


class Sampler:
    """Divides the train samples into steps.

    `joint`: every sample once per epoch, in a different order for each member; all its labels count.
    `one-task`: every label once per epoch; a step has samples with a label of one task, and only that label
    counts. The steps of all tasks are in one random order, the same for all members, so that a task is drawn
    in proportion to its labels (random task per step: Collobert & Weston 2008; in proportion to the data: Liu
    et al. 2019, MT-DNN, section 3).

    If the network reads neighbouring utterances, steps consist of whole videos, as many as fit into
    `batch_size` samples (a longer video is a step by itself), the same for all members.
    """

    def __init__(
        self, train: Batch, task_ids: Sequence[str], config: ModelConfig, *, members: int, whole_videos: bool,
        sample_weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        """`train` has no member axis; `sample_weights` (members, n)."""
        self.device, self.members, self.size = train.device, members, config.batch_size
        known = torch.stack([train.known[i] & (train.weights[i] > 0) for i in task_ids], dim=-1).cpu()
        self.labelled = known.expand(members, *known.shape)  # (members, n, tasks)
        if sample_weights is not None:
            self.labelled = self.labelled & (sample_weights.cpu() > 0)[:, :, None]
        everything = torch.ones(len(train), dtype=torch.bool)
        self.shares = (
            [known[:, i] for i in range(len(task_ids))] if config.sampling == "one-task" else [everything]
        )
        self.apart = config.sampling == "one-task"
        self.videos: list[Tensor] | None = None
        if whole_videos:
            video, position = train.inputs.video.tolist(), train.inputs.position.tolist()
            rows_by_video: dict[int, list[int]] = {}
            for i in sorted(range(len(video)), key=lambda i: (video[i], position[i])):
                rows_by_video.setdefault(video[i], []).append(i)
            self.videos = [torch.tensor(rows) for rows in rows_by_video.values()]

    @property
    def steps(self) -> int:
        """Number of steps of an epoch if videos can be divided."""
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
        packed: list[list[Tensor]] = []
        for j in torch.randperm(len(videos), generator=generators[0]).tolist():
            if not packed or sum(map(len, packed[-1])) + len(videos[j]) > self.size:
                packed.append([])
            packed[-1].append(videos[j])
        return [torch.cat(rows).expand(self.members, -1) for rows in packed]
