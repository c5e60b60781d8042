"""The samples of a labelled project that the loop is replayed on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotate.batch.costs import Costs
from annotate.batch.snapshot import BatchRules
from annotate.types import Kind, Label, Modality, Task

if TYPE_CHECKING:
    from annotate.learning.batches import FeatureReader, Origins
    from annotate.learning.model_config import ModelConfig

Aggregate = Callable[[str, Task, Sequence[str]], Label]
"""(sample id, task, votes of the raters, at least one) -> label."""


@dataclass(frozen=True, eq=False)
class ReplayData:
    """Samples by split, ordered by id, with all their labels, features and groups."""

    tasks: tuple[Task, ...]
    pool: tuple[str, ...]
    """Train samples, which strategies choose from and the model is trained on."""
    valid: tuple[str, ...]
    test: tuple[str, ...]
    labels: Mapping[tuple[str, str], Label]
    """By (sample id, task id). A pool sample has a label of every task."""
    read: "FeatureReader"
    extractors: Mapping[Modality, str]
    origins: "Origins"
    embeddings: NDArray[np.float32]
    """(pool, d) embeddings of the features, used while there is no model."""
    groups: Mapping[str, NDArray[np.intp]]
    """By ``speaker`` and ``video``: (pool,) numbers, as in `Pool`."""
    clip_seconds: NDArray[np.float64]
    """(pool,)"""
    costs: Costs
    """Time of one rater for a question, by pass."""
    config: "ModelConfig"
    device: str = "cpu"
    cold_start: str = "herding"
    """The strategy to use while a model is needed and none can be trained."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Options of strategies, by name."""
    pool_limit: int | None = None
    """At most so many samples are ranked in a round; None: all."""
    votes: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """By (sample id, task id) of pool samples: the answers of the raters. Where there are votes, a question
    draws one that was not drawn yet; elsewhere it gives the label."""
    features: str = ""
    """A hash over the features of all samples, which tells simulations of other features apart."""
    aggregate: Aggregate | None = None
    """Makes a label of votes; required if there are any."""

    @property
    def passes(self) -> tuple[Modality, ...]:
        """Passes that have a task, in the order T, A, V, M."""
        return tuple(m for m in Modality if any(task.modality is m for task in self.tasks))

    @property
    def rules(self) -> BatchRules:
        """The rules of a batch: the strategy's choice alone, without audit or held-out samples.

        One rater answers a question, and another one may answer it while votes are left.
        """
        most_votes = max((len(answers) for answers in self.votes.values()), default=1)
        return BatchRules(
            self.tasks, self.passes, self.cold_start, self.options, pool_limit=self.pool_limit,
            most_raters=most_votes,
        )  # fmt: skip

    @property
    def kinds(self) -> set[Kind]:
        """Kinds of the tasks."""
        return {task.dimension.kind for task in self.tasks}

    def of_pass(self, modality: Modality) -> tuple[Task, ...]:
        """The tasks that one question of a pass asks about."""
        return tuple(task for task in self.tasks if task.modality is modality)
