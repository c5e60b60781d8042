"""A fully labelled corpus that the loop is replayed on, and how far the replay goes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotate.batch.costs import Costs
from annotate.batch.snapshot import BatchRules
from annotate.errors import NothingToDo, UsageError
from annotate.types import Kind, Label, Modality, Task
from annotate.wording import counted, either

if TYPE_CHECKING:
    from annotate.learning.batches import FeatureReader, Origins
    from annotate.learning.model_config import ModelConfig

Agree = Callable[[str, Task, Sequence[str]], Label]
"""(sample id, task, what each rater said, one at least) -> the label."""


@dataclass(frozen=True, eq=False)
class World:
    """Samples by what they are for, ordered by id, and the truth about them."""

    tasks: tuple[Task, ...]
    pool: tuple[str, ...]
    """Train: asked about, learned from."""
    valid: tuple[str, ...]
    test: tuple[str, ...]
    labels: Mapping[tuple[str, str], Label]
    """By (sample id, task id). Of a pool sample each task has one."""
    read: "FeatureReader"
    extractors: Mapping[Modality, str]
    origins: "Origins"
    bare: NDArray[np.float32]
    """(pool, d) where the pool's samples lie to each other while there is no model."""
    groups: Mapping[str, NDArray[np.intp]]
    """By ``speaker`` and ``video``: (pool,) numbers, as in `Pool`."""
    clip_seconds: NDArray[np.float64]
    """(pool,)"""
    costs: Costs
    """What one rater needs for a question, by pass."""
    recipe: "ModelConfig"
    device: str = "cpu"
    cold_start: str = "herding"
    """The strategy that stands in for one that needs a model while none can be trained."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of strategies, by name."""
    pool_limit: int | None = None
    """At most so many samples are ranked in a round; None: all."""
    votes: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """By (sample id, task id), of pool samples: what each rater said. Where there are votes, a question draws
    one that was not drawn yet; elsewhere it gets the label."""
    features: str = ""
    """A hash over the features of all samples, so that others are not taken for them."""
    agree: Agree | None = None
    """Makes a label of votes; needed where there are any."""

    @property
    def passes(self) -> tuple[Modality, ...]:
        """Those that have a task, T, A, V, M."""
        return tuple(m for m in Modality if any(task.modality is m for task in self.tasks))

    @property
    def rules(self) -> BatchRules:
        """What a batch is made of: the strategy's choice alone, without audit or held-out samples. One rater
        answers a question, and another one may while votes are left."""
        most_votes = max((len(answers) for answers in self.votes.values()), default=1)
        return BatchRules(
            self.tasks, self.passes, self.cold_start, self.options, pool_limit=self.pool_limit,
            most_raters=most_votes,
        )  # fmt: skip

    @property
    def kinds(self) -> set[Kind]:
        """Of its tasks."""
        return {task.dimension.kind for task in self.tasks}

    def of_pass(self, modality: Modality) -> tuple[Task, ...]:
        """What one question of a pass asks."""
        return tuple(task for task in self.tasks if task.modality is modality)


@dataclass(frozen=True, slots=True)
class Plan:
    """How far a replay goes. Samples count: one of which half the passes were asked counts half."""

    start: int
    """Drawn uniformly, the same for every strategy with the same seed."""
    step: int
    until: int
    valid_share: float = 0.2
    """Labelled valid samples per labelled pool sample, the same ones for every strategy with the same seed.
    They are not counted: every strategy pays for them alike."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for what cannot be."""
        if self.start < 1 or self.step < 1:
            raise UsageError(
                f"a simulation of {counted(self.start, 'sample')} and {self.step} more at a time gets "
                "nowhere",
                hint="use --start 20 --step 20",
            )
        if self.until <= self.start:
            raise UsageError(
                f"--until {self.until} is not above --start {self.start}: no strategy would choose anything",
                hint=f"use --until {self.start + self.step}, or more",
            )

    def budgets(self) -> tuple[int, ...]:
        """Samples asked after each round; the last is `until`."""
        return (*range(self.start, self.until, self.step), self.until)


def require_possible(world: World, plan: Plan) -> None:
    """Raise `NothingToDo` for a world that nothing can be learned or measured in, `UsageError` for a plan
    that is larger than it."""
    if not world.tasks or not world.pool:
        raise NothingToDo(
            "no train sample has all its labels, so nothing can be replayed",
            hint="simulate on a finished project: `annotate status` shows what is labelled, "
            "`annotate import` brings in a corpus of others",
        )
    size = len(world.pool)
    labelled = f"the {counted(size, 'train sample')} that {either(size, 'has', 'have')} all labels"
    if plan.start > len(world.pool):
        raise UsageError(
            f"--start {plan.start} is more than {labelled}",
            hint=f"use --start {max(1, len(world.pool) // 10)}",
        )
    if plan.until > len(world.pool):
        raise UsageError(
            f"--until {plan.until} is more than {labelled}",
            hint=f"use --until {len(world.pool)}, or less",
        )
    for task in world.tasks:
        if not any((i, task.id) in world.labels for i in world.test):
            raise NothingToDo(
                f"no test sample has a label of {task.id}, so nothing can be measured",
                hint="label test samples, or leave the task out with --tasks",
            )
