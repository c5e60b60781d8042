"""The default: representative samples while labels are few, then uncertain and diverse ones."""

from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ConfigError, ModelError
from annotate.registry import strategy
from annotate.types import Kind, Pool, Requirement, Selection
from strategies._deduplicate import deduplicate
from strategies._group_cap import GroupCap
from strategies._scored import can_disagree
from strategies._tasks import asked_tasks
from strategies._wrapper import NO_OPTIONS, AllOptions, make_inner

Rows = NDArray[np.intp]

OPTIONS = "name other strategies in [batch.options.auto]"
LEAST = 10
"""The candidates are at least this multiple of the batch, however small `share` is."""


@dataclass(frozen=True, slots=True)
class AutoOptions:
    """Options of `auto`."""

    early: str = "herding"
    """Strategy while there are few labels."""
    regression: str = "lcmd"
    """Strategy if any regression task is asked."""
    classification: str = "lcmd"
    """Strategy otherwise."""
    few: int = 50
    """Labels are few below this number of labelled samples of the best-known task."""
    few_per_class: int = 10
    """As `few`, per class of a classification task."""
    share: float = 0.2
    """Share of the pool that `power` draws first; 1, or a single network: the whole pool."""
    crowd: float = 3.0
    """Largest share of the batch for one speaker or video, as a multiple of an even share; 0: no limit."""
    near: float = 0.03
    """Distance below which samples are near-duplicates, as a share of the pool's spread; 0: none are."""


@strategy("auto")
class Auto:
    """Representative samples while labels are few, then diverse ones among the uncertain, without copies.

    While there are few labels (50, or 10 per class) the batch is chosen by `herding`. Later a fifth of
    the pool, at least ten times the batch, is drawn by `power`, and `lcmd` chooses from it. The options
    `regression` and `classification` name another strategy for that; `regression` counts if any
    regression task is asked. Of near-duplicates (closer than `near`, 0.03 of the spread, to the first of
    them) one is asked, and no speaker and no video gets more than three times an even share of the batch.
    """

    Options: ClassVar[type] = AutoOptions
    wraps: ClassVar[bool] = True
    needs: frozenset[Requirement] = frozenset(Requirement) - {Requirement.VOTES}
    kinds = frozenset(Kind)

    def __init__(self, options: AutoOptions | None = None, others: AllOptions = NO_OPTIONS) -> None:
        """Raises `UnknownName` for an unknown strategy, `ConfigError` if it names itself or an option is
        wrong."""
        self.options = options or AutoOptions()
        names = (self.options.early, self.options.regression, self.options.classification)
        if "auto" in names:
            raise ConfigError("auto cannot use itself", hint=OPTIONS)
        self.inner = {name: make_inner(name, others) for name in {*names, "power"}}

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """At most `k` samples; scores fall evenly from 1. Raises as the strategies that it uses."""
        asked_tasks(pool)
        k = min(k, len(pool))
        cap = GroupCap(pool.groups, len(pool), k, self.options.crowd)
        first = deduplicate(pool.embeddings, pool.known.embeddings, self.options.near, rng)
        taken = self._within_limits(pool, first, [], min(k, len(first)), cap, rng)
        if len(taken) < k:  # only copies are left
            taken = self._within_limits(pool, np.arange(len(pool)), taken, k, cap, rng)
        return Selection(np.array(taken, dtype=np.intp), 1 - np.arange(k) / max(k, 1))

    def _within_limits(
        self, pool: Pool, among: Rows, taken: list[int], k: int, cap: GroupCap, rng: np.random.Generator
    ) -> list[int]:
        """Extend `taken` with samples of `among` to `k`. When a speaker or video has reached its limit,
        choose again from the others; when all have, double the limits."""
        while len(taken) < k:
            free = np.setdiff1d(np.intersect1d(among, cap.open()), taken)
            if not len(free):
                cap.raise_limit()
                continue
            left = replace(pool.of(free), known=pool.knowing(np.array(taken, dtype=np.intp)))
            ranked = free[self._ranked(left, k - len(taken), rng)]
            taken = taken + [int(row) for row in ranked if cap.admit(int(row))]
        return taken

    def _ranked(self, pool: Pool, k: int, rng: np.random.Generator) -> Rows:
        """Positions chosen by the strategy that fits the number of labels."""
        if self._few(pool):
            return self._by(self.options.early, pool, k, rng)
        looked_at = self._uncertain(pool, k, rng)
        kinds = {pool.predictions[t].task.dimension.kind for t in pool.asked()}
        name = self.options.regression if Kind.REGRESSION in kinds else self.options.classification
        return looked_at[self._by(name, pool.of(looked_at), k, rng)]

    def _by(self, name: str, pool: Pool, k: int, rng: np.random.Generator) -> Rows:
        """Positions chosen by this strategy. Raises `ModelError` if it can rank none of the asked tasks."""
        strategy = self.inner[name]
        fit = pool.of_kinds(strategy.kinds)
        if pool.asked() and not fit.asked():
            words = " and ".join(sorted({pool.predictions[t].task.dimension.kind for t in pool.asked()}))
            raise ModelError(f"auto is set to use {name}, which cannot rank {words}", hint=OPTIONS)
        return strategy.select(fit, k, rng).indices

    def _uncertain(self, pool: Pool, k: int, rng: np.random.Generator) -> Rows:
        wanted = min(max(ceil(self.options.share * len(pool)), LEAST * k), len(pool))
        if wanted == len(pool) or not can_disagree(pool):  # a single network has no disagreement to measure
            return np.arange(len(pool))
        return np.sort(self._by("power", pool, wanted, rng))

    def _few(self, pool: Pool) -> bool:
        """Whether the asked task with the most labels has fewer than `few`, or fewer than `few_per_class`
        times the largest number of classes."""
        most = max((_labels(pool, task_id) for task_id in pool.asked()), default=0)
        tasks = [pool.predictions[task_id].task.dimension for task_id in pool.asked()]
        classes = [len(d.answers) for d in tasks if d.kind is Kind.CLASSIFICATION]
        return most < max(self.options.few, self.options.few_per_class * max(classes, default=0))


def _labels(pool: Pool, task_id: str) -> int:
    """Number of labels of a task, including samples that are still asked in other tasks."""
    labels = pool.known.labels.get(task_id, np.zeros(0))
    known = int(np.isfinite(labels.T[:1] if labels.ndim > 1 else labels).sum())
    return known + int((~pool.missing[task_id]).sum())
