"""Weightings of tasks where each of them has something to find.

Skill is 100 Pearson's r with the noiseless truth on held-out speakers, mean over tasks: points. Differences
are paired by seed (same corpus, same division, same first weights), their mean is judged. Plans and configs
were chosen on seeds from 100 on.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from annotate.learning import conflict
from annotate.learning.batches import Batch
from annotate.learning.conflict import together
from annotate.learning.ensemble import fit_members
from annotate.learning.losses import task_losses
from annotate.learning.members import Members
from annotate.learning.model_config import ModelConfig
from annotate.learning.trainer import fit
from annotate.learning.weightings._gradients import task_gradients
from annotate.learning.weightings.base import Weighting, mean_of_present
from annotate.registry import WEIGHTINGS, weighting
from annotate.types import Kind, Modality, Task
from benchmarks import _weighting_labels as labels
from benchmarks._bars import Bars
from benchmarks._generated import Plan
from benchmarks._speaker_cases import (
    KINDS,
    NETWORKS,
    RECIPE,
    TWO,
    Case,
    cases,
    firsts,
    gain,
    mean_of,
    skill,
)

Array = NDArray[np.float64]

SEEDS, QUICK_SEEDS = range(5), range(1)
GRID, QUICK_GRID = 50, 10
TRUNK = "sharing.tower.shared.layers.0.weight"
NARROW = replace(RECIPE, hidden=8)
LEVEL: Mapping[str, float] = {"asymmetry": 0.0}
"""GradNorm that only levels. Gains over equal weights on seeds 100 to 104: 0.2 of r; with an asymmetry of 0.5
-0.1, of 1.5, the default, -0.4, of 1.5 and a fifth of the rate -0.4."""
WIDE = ModelConfig(epochs=15, patience=15)

NOISES = {"a.M": 0.2, "b.M": 0.6, "c.M": 1.2, "d.M": 2.4}
NOISY = Plan(samples=500, feature_noise=1.0, relatedness=0.7, tasks=tuple(NOISES), noise=NOISES, dims=TWO)
"""Four related tasks that read the same, each noisier than the one before it."""
PACES = Plan(samples=400, task_levels=True, feature_noise=0.1, dims=TWO, tasks=("a.M", "b.M", "c.M", "d.M"))
"""The first task is a line, learned in a few epochs, the last a wave of a product."""
APART = Plan(
    samples=400, tasks=("a.T", "b.T"), kinds={"b.T": Kind.CLASSIFICATION}, relatedness=0.0, feature_noise=0.2,
    dims={Modality.TEXT: 12},
)  # fmt: skip
"""Two tasks that have nothing in common but a trunk too narrow for both; the losses of classes are larger.

On seeds 100 to 104, 7 % of the steps with equal weights work against one of them; of two scales 2 %, where
PCGrad gains 0.1 instead of 7.2.
"""


@weighting("grid")
class Grid(Weighting):
    """Fixed weights, other ones in each member: a grid search in one training."""

    table: ClassVar[Tensor] = torch.ones(1, 1)
    """(members, tasks)"""

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """(members,) the weighted mean."""
        return mean_of_present(losses * self.table, present)


MADE: list[Any] = []
"""The weightings that trainings made, where they are called ``watched-NAME``."""


def _watched(name: str) -> None:
    kind: Any = WEIGHTINGS.get(name)

    def init(self: Any, tasks: Sequence[Task], members: int, options: Any) -> None:
        kind.__init__(self, tasks, members, options)
        MADE.append(self)

    weighting(f"watched-{name}")(type("Watched", (kind,), {"__init__": init, "__doc__": "Can be looked at."}))


for _name in ("uncertainty", "dynamic-weight-average", "gradnorm", "pcgrad", "fixed"):
    _watched(_name)


def run(bars: Bars, quick: bool) -> None:
    """Every bar; `quick` judges by one seed what one seed can judge."""
    seeds = QUICK_SEEDS if quick else SEEDS
    of_tasks = (uncertainty, average, gradnorm, pcgrad, conflicts)
    for measure in (labels.masks, labels.doubles, *of_tasks, labels.balance, labels.ensembles):
        started = time.process_time()
        measure(bars, seeds)
        print(f"{measure.__name__}: {time.process_time() - started:.1f} s of one core", flush=True)


def uncertainty(bars: Bars, seeds: Sequence[int]) -> None:
    """One training against a grid of weights; and what it says of the noise.

    The best of the grid is the one that the held-out speakers themselves like best, over all seeds: what
    it is ahead is partly luck that nobody could have had beforehand. Valid's choice is what a user can have.
    """
    table = _grid(GRID if len(seeds) > 1 else QUICK_GRID, len(NOISY.tasks))
    learned, tried, chosen, in_order, largest = [], [], [], [], 0.0
    config = replace(RECIPE, weighting="watched-uncertainty")
    for case in cases(NOISY, seeds):
        learned.append(skill(case, config))
        s = MADE[-1].log_variance().detach()
        in_order.append(float((s.diff(dim=1) > 0).all(dim=1).float().mean()))
        largest = max(largest, float(s.abs().max()))
        skills, valid = _try_all(case, table)
        tried.append(skills)
        chosen.append(skills[valid.argmin()])
    best = int(np.mean(tried, axis=0).argmax())
    print(f"weights of the best of {len(table)}: {' '.join(f'{w:.2f}' for w in table[best].tolist())}")
    bars.bar("weighting.uncertainty.minus_best_of_grid", gain(learned, [s[best] for s in tried]), ">=", -0.5)
    bars.bar("weighting.uncertainty.minus_grid_chosen_on_valid", gain(learned, chosen), ">=", -0.5)
    gain([s[0] for s in tried], [s[best] for s in tried], "equal weights - best of grid")
    bars.bar("weighting.uncertainty.share_in_order_of_noise", mean_of("in order", in_order), ">=", 0.8)
    bars.bar("weighting.uncertainty.largest_log_variance", largest, "<=", 4)


def _grid(size: int, tasks: int) -> Tensor:
    """(size, tasks) from an eighth to eight times, 1 on average; equal weights first."""
    drawn = 2 ** np.random.default_rng(7).uniform(-3, 3, (size, tasks))
    drawn[0] = 1
    return torch.from_numpy(drawn / drawn.mean(axis=1, keepdims=True)).float()


def _try_all(case: Case, table: Tensor) -> tuple[Array, Array]:
    """(weightings,) points, and the valid loss, each the mean over networks of the same first weights."""
    config = replace(RECIPE, weighting="grid")
    Grid.table = table.repeat_interleave(NETWORKS, dim=0)
    states, fitted = fit_members(case.prepared(config), firsts(case) * len(table))
    skills = case.skills(config, states)
    valid = np.array([one.valid_loss for one in fitted], np.float64)
    return skills.reshape(len(table), -1).mean(axis=1), valid.reshape(len(table), -1).mean(axis=1)


def _trained(
    case: Case,
    config: ModelConfig,
    name: str,
    options: Mapping[str, Any],
    look: Callable[[], None] = lambda: None,
) -> Members:
    """The networks as their last epoch left them; `look` is called after each epoch."""
    watched = f"watched-{name}"
    made = case.prepared(replace(config, weighting=watched, options={watched: options}))
    members = Members([made.network(first) for first in firsts(case)])
    generators = [torch.Generator().manual_seed(first) for first in firsts(case)]
    torch.manual_seed(case.seed)
    fit(members, made.train, None, made.config, generators, lambda epoch: look())
    return members


def _against_equal(
    bars: Bars, name: str, plan: Plan, config: ModelConfig, seeds: Sequence[int], *others: Mapping[str, Any]
) -> None:
    """Points more than equal weights, with the weighting's own options, then with `others`."""
    if len(seeds) == 1:
        bars.long(f"weighting.{name}.minus_equal", "differences need five seeds")
        return
    found = cases(plan, seeds)
    equal = [skill(case, config) for case in found]
    for options in ({}, *others):
        weighed = replace(config, weighting=name, options={name: options})
        said = "".join(f".{key}_{value:g}" for key, value in options.items())
        gained = gain([skill(case, weighed) for case in found], equal, f"{name}{said} - equal weights")
        bars.bar(f"weighting.{name}{said}.minus_equal", gained, ">=", -0.5)


def average(bars: Bars, seeds: Sequence[int]) -> None:
    """Dynamic weight average gives more to what does not fall yet."""
    slow = []
    for case in cases(PACES, seeds):
        history: list[Tensor] = []
        _trained(case, RECIPE, "dynamic-weight-average", {}, partial(_keep_weights, history))
        early = torch.stack(history[1:10]).mean(dim=(0, 1))
        slow.append(float(early[-1] - early[0]))
    bars.bar("weighting.average.slow_minus_fast_weight", mean_of("slow - fast", slow), ">=", 0)
    _against_equal(bars, "dynamic-weight-average", PACES, RECIPE, seeds)


def _keep_weights(history: list[Tensor]) -> None:
    history.append(_weights())


def _weights() -> Tensor:
    found: Tensor = MADE[-1].get_buffer("weights").detach().clone()
    return found


def gradnorm(bars: Bars, seeds: Sequence[int]) -> None:
    """The gradients of numbers and classes come to one size."""
    spreads = []
    for case in cases(KINDS, seeds):
        levelled = _spread_of_sizes(case, "gradnorm", LEVEL)
        spreads.append(levelled / _spread_of_sizes(case, "fixed", {}))
    bars.bar("weighting.gradnorm.spread_of_sizes_against_equal", mean_of("spread", spreads), "<=", 0.5)
    _against_equal(bars, "gradnorm", KINDS, RECIPE, seeds, LEVEL)


def _spread_of_sizes(case: Case, name: str, options: Mapping[str, Any]) -> float:
    """Standard deviation of the logarithms of the tasks' weighted gradients on the trunk, as steps see them
    once trained."""
    members = _trained(case, RECIPE, name, options)
    train, trunk, sizes = case.prepared(RECIPE).train, members.parameters[TRUNK], []
    for rows in _steps(train, RECIPE.batch_size):
        losses, present = _losses(members, train, rows)
        sizes.append(task_gradients(losses, present, [trunk]).norm(dim=-1))
    mean = torch.stack(sizes).mean(dim=0)
    return float((_weights().broadcast_to(mean.shape) * mean).log().std(dim=1).mean())


def _steps(train: Batch, size: int) -> Sequence[Tensor]:
    return torch.split(torch.randperm(len(train), generator=torch.Generator().manual_seed(0)), size)


def _losses(members: Members, batch: Batch, rows: Tensor) -> tuple[Tensor, Tensor]:
    members.train(False)
    taken = batch.take(rows.expand(members.count, -1))
    return task_losses([members.net.head(t) for t in members.net.tasks], members(taken.inputs), taken)


def pcgrad(bars: Bars, seeds: Sequence[int]) -> None:
    """Of two tasks, no step works against either, and where they have nothing in common that helps."""
    against: dict[str, list[float]] = {"pcgrad": [], "fixed": []}
    for case in cases(APART, seeds):
        for name, found in against.items():
            found.append(100 * _share_against(case, name))
    bars.bar("weighting.pcgrad.steps_against_a_task_percent", mean_of("pcgrad", against["pcgrad"]), "<=", 0)
    bars.bar("weighting.equal.steps_against_a_task_percent", mean_of("equal", against["fixed"]), ">=", 1)
    _against_equal(bars, "pcgrad", APART, NARROW, seeds)


def _share_against(case: Case, name: str) -> float:
    """Of steps and networks: where the step on all that both tasks use raises, to first order, the loss of
    one."""
    members = _trained(case, NARROW, name, {})
    train, parameters = case.prepared(NARROW).train, list(members.parameters.values())
    both = [parameter for n, parameter in members.parameters.items() if n.startswith("sharing.")]
    found = []
    for rows in _steps(train, 16):
        losses, present = _losses(members, train, rows)
        own = task_gradients(losses, present, both)
        for parameter in parameters:
            parameter.grad = None
        MADE[-1].backward(losses, present, torch.zeros(members.count), parameters)
        moved = [torch.zeros_like(p) if p.grad is None else p.grad for p in both]
        step = torch.cat([gradient.flatten(1) for gradient in moved], dim=1).unsqueeze(1)
        found.append(((own * step).sum(dim=-1) < -1e-6 * own.norm(dim=-1).square()).any(dim=1))
    return float(torch.cat(found).float().mean())


def conflicts(bars: Bars, seeds: Sequence[int]) -> None:
    """Related tasks agree more than unrelated ones; and what it costs to look."""
    cosines: dict[float, list[float]] = {0.0: [], 1.0: []}
    for relatedness, found in cosines.items():
        for case in cases(replace(APART, relatedness=relatedness), seeds):
            _, fitted = fit_members(case.prepared(NARROW), firsts(case))
            found.append(together(one.conflicts for one in fitted)[0].cosine)
    gains = [a - b for a, b in zip(cosines[1.0], cosines[0.0], strict=True)]
    bars.bar("weighting.conflict.cosine_related_minus_unrelated", mean_of("cosines", gains), ">=", 0)
    bars.bar("weighting.conflict.seconds_against_not_looking", _cost(cases(NOISY, [0])[0]), "<=", 1.05)


def _cost(case: Case) -> float:
    """CPU seconds that looking adds to the training of five members at full width."""
    made, looks = case.prepared(WIDE), 0.0
    take = conflict.GradientProbe.take

    def timed(*given: Any) -> None:
        nonlocal looks
        began = time.process_time()
        take(*given)
        looks += time.process_time() - began

    with patch.object(conflict.GradientProbe, "take", timed):
        started = time.process_time()
        fit_members(made, list(range(5)))
        whole = time.process_time() - started
    print(f"seconds: {whole:.2f}, of which {looks:.2f} to look")
    return whole / (whole - looks)
