"""Weightings of tasks and labels, masks and ensembles where each of them has something to find.

Skill is 100 Pearson's r with the noiseless truth on held-out speakers, mean over tasks: points. Differences
are paired by seed (same corpus, same division, same first weights), their mean is judged. Plans and recipes
were chosen on seeds from 100 on.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor

from annotate.learning import conflict
from annotate.learning.batches import Batch
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.conflict import together
from annotate.learning.ensemble import Prepared, fit_ensemble, fit_members, prepare
from annotate.learning.ensembles._base import State
from annotate.learning.losses import task_losses
from annotate.learning.members import Members, ask, restore
from annotate.learning.metrics import confidence_error
from annotate.learning.predict import predict
from annotate.learning.recipe import Recipe
from annotate.learning.trainer import fit
from annotate.learning.weightings._base import Weighting, mean_of_present
from annotate.learning.weightings._gradients import task_gradients
from annotate.registry import WEIGHTINGS, weighting
from annotate.types import Kind, Label, Modality, Task
from benchmarks._bars import Bars
from benchmarks._generated import Plan, generate
from benchmarks._sets import Corpus, grouped_folds

Array = NDArray[np.float64]

SEEDS, QUICK_SEEDS = range(5), range(1)
GRID, QUICK_GRID = 50, 10
NETWORKS = 3
"""Of each arm of the grid and per seed, from other first weights: one alone moves by a point."""
TRUNK = "sharing.tower.shared.layers.0.weight"
RECIPE = Recipe(hidden=32, members=1, epochs=40, patience=10, batch_size=64, learning_rate=5e-3, dropout=0.1)
NARROW = replace(RECIPE, hidden=8)
LEVEL: Mapping[str, float] = {"asymmetry": 0.0}
"""GradNorm that only levels. Gains over equal weights on seeds 100 to 104: 0.2 of r; with an asymmetry of 0.5
-0.1, of 1.5, the default, -0.4, of 1.5 and a fifth of the rate -0.4."""
WIDE = Recipe(epochs=15, patience=15)

TWO = dict.fromkeys((Modality.TEXT, Modality.AUDIO), 12)
NOISES = {"a.M": 0.2, "b.M": 0.6, "c.M": 1.2, "d.M": 2.4}
NOISY = Plan(samples=500, feature_noise=1.0, relatedness=0.7, tasks=tuple(NOISES), noise=NOISES, dims=TWO)
"""Four related tasks that read the same, each noisier than the one before it."""
PACES = Plan(samples=400, task_levels=True, feature_noise=0.1, dims=TWO, tasks=("a.M", "b.M", "c.M", "d.M"))
"""The first task is a line, learned in a few epochs, the last a wave of a product."""
KINDS = Plan(
    samples=400, relatedness=0.7, dims=TWO, tasks=("sentiment.T", "sentiment.A", "sentiment.M"),
    kinds={"sentiment.A": Kind.CLASSIFICATION, "sentiment.M": Kind.CLASSIFICATION},
)  # fmt: skip
"""Numbers and classes, whose losses are of different size."""
APART = Plan(
    samples=400, tasks=("a.T", "b.T"), kinds={"b.T": Kind.CLASSIFICATION}, relatedness=0.0, feature_noise=0.2,
    dims={Modality.TEXT: 12},
)  # fmt: skip
"""Two tasks that have nothing in common but a trunk too narrow for both; the losses of classes are larger.

On seeds 100 to 104, 7 % of the steps with equal weights work against one of them; of two scales 2 %, where
PCGrad gains 0.1 instead of 7.2.
"""
VOTES = Plan(
    samples=500, kinds={"sentiment.M": Kind.CLASSIFICATION}, tasks=("sentiment.T", "sentiment.M"),
    feature_noise=1.0, noise=0.3, dims=TWO,
)  # fmt: skip
VOTED = Plan(
    samples=500, raters=7, noise=1.5, feature_noise=0.5, tasks=("sentiment.T", "sentiment.M"), dims=TWO
)
"""Seven raters who see little."""
CONFIDENT = replace(VOTES, samples=200, noise=1.0)
"""Few labels, learned by heart."""


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


@dataclass(frozen=True)
class Case:
    """A corpus of which one part of five in whole speakers is held out, and one is valid."""

    corpus: Corpus
    seed: int
    train: list[str]
    valid: list[str]
    held_out: list[str]

    @classmethod
    def of(cls, corpus: Corpus, seed: int) -> "Case":
        """Divided by `seed`."""
        folds = grouped_folds(corpus.groups, 5, np.random.default_rng([seed, 1]))
        ids = np.array(corpus.ids())
        held_out, valid = (sorted(ids[fold].tolist()) for fold in folds[:2])
        return cls(corpus, seed, sorted(ids[np.concatenate(folds[2:])].tolist()), valid, held_out)

    def prepared(self, recipe: Recipe) -> Prepared:
        """To be trained on."""
        return prepare(self.corpus.training_set(self.train, self.valid), recipe, "cpu")

    def exam(self, recipe: Recipe) -> Batch:
        """The held-out samples as the networks read them."""
        found = prepare(self.corpus.training_set(self.train, self.held_out), recipe, "cpu").valid
        assert found is not None
        return found

    def skills(self, recipe: Recipe, states: Sequence[State]) -> Array:
        """(networks,) points of each, mean over the tasks; of classes, 100 times the share that is right."""
        made = self.prepared(recipe)
        members = restore(made.widths, made.tasks, recipe, states, "cpu")
        said = ask(members, self.exam(recipe).inputs).heads
        rows = [int(i) for i in self.corpus.labelled(self.held_out)]
        found = [_points(t, said[t.id].numpy(), self.corpus.truth[t.id][rows]) for t in made.tasks]
        return np.asarray(np.mean(found, axis=0))


def _points(task: Task, said: NDArray[np.float32], truth: Array) -> list[float]:
    """Of each network; `said` is (networks, n, outputs)."""
    if task.dimension.kind is Kind.CLASSIFICATION:
        return [100 * float((one.argmax(axis=1) == truth).mean()) for one in said]
    return [100 * float(np.corrcoef(one[:, 0], truth)[0, 1]) for one in said]


def cases(plan: Plan, seeds: Iterable[int]) -> list[Case]:
    """One for each seed."""
    return [Case.of(generate(plan, np.random.default_rng(seed)), seed) for seed in seeds]


def run(bars: Bars, quick: bool) -> None:
    """Every bar; `quick` judges by one seed what one seed can judge."""
    seeds = QUICK_SEEDS if quick else SEEDS
    for measure in (masks, doubles, uncertainty, average, gradnorm, pcgrad, balance, ensembles, conflicts):
        started = time.process_time()
        measure(bars, seeds)
        print(f"{measure.__name__}: {time.process_time() - started:.1f} s of one core", flush=True)


def _mean(name: str, figures: Sequence[float]) -> float:
    """Printed with each seed's."""
    mean = float(np.mean(figures))
    print(f"{name}: {mean:.2f}, by seed {' '.join(f'{figure:.2f}' for figure in figures)}", flush=True)
    return mean


# Weightings of tasks.


def uncertainty(bars: Bars, seeds: Sequence[int]) -> None:
    """One training against a grid of weights; and what it says of the noise.

    The best of the grid is the one that the held-out speakers themselves like best, over all seeds: what
    it is ahead is partly luck that nobody could have had beforehand. Valid's choice is what a user can have.
    """
    table = _grid(GRID if len(seeds) > 1 else QUICK_GRID, len(NOISY.tasks))
    learned, tried, chosen, in_order, largest = [], [], [], [], 0.0
    recipe = replace(RECIPE, weighting="watched-uncertainty")
    for case in cases(NOISY, seeds):
        learned.append(_skill(case, recipe))
        s = MADE[-1].log_variance().detach()
        in_order.append(float((s.diff(dim=1) > 0).all(dim=1).float().mean()))
        largest = max(largest, float(s.abs().max()))
        skills, valid = _try_all(case, table)
        tried.append(skills)
        chosen.append(skills[valid.argmin()])
    best = int(np.mean(tried, axis=0).argmax())
    print(f"weights of the best of {len(table)}: {' '.join(f'{w:.2f}' for w in table[best].tolist())}")
    bars.bar("weighting.uncertainty.minus_best_of_grid", _gain(learned, [s[best] for s in tried]), ">=", -0.5)
    bars.bar("weighting.uncertainty.minus_grid_chosen_on_valid", _gain(learned, chosen), ">=", -0.5)
    _gain([s[0] for s in tried], [s[best] for s in tried], "equal weights - best of grid")
    bars.bar("weighting.uncertainty.share_in_order_of_noise", _mean("in order", in_order), ">=", 0.8)
    bars.bar("weighting.uncertainty.largest_log_variance", largest, "<=", 4)


def _grid(size: int, tasks: int) -> Tensor:
    """(size, tasks) from an eighth to eight times, 1 on average; equal weights first."""
    drawn = 2 ** np.random.default_rng(7).uniform(-3, 3, (size, tasks))
    drawn[0] = 1
    return torch.from_numpy(drawn / drawn.mean(axis=1, keepdims=True)).float()


def _firsts(case: Case) -> list[int]:
    return [100 * case.seed + k for k in range(NETWORKS)]


def _skill(case: Case, recipe: Recipe) -> float:
    """Points, the mean over networks from other first weights."""
    states, _ = fit_members(case.prepared(recipe), _firsts(case))
    return float(case.skills(recipe, states).mean())


def _try_all(case: Case, table: Tensor) -> tuple[Array, Array]:
    """(weightings,) points, and the valid loss, each the mean over networks of the same first weights."""
    recipe = replace(RECIPE, weighting="grid")
    Grid.table = table.repeat_interleave(NETWORKS, dim=0)
    states, fitted = fit_members(case.prepared(recipe), _firsts(case) * len(table))
    skills = case.skills(recipe, states)
    valid = np.array([one.valid_loss for one in fitted], np.float64)
    return skills.reshape(len(table), -1).mean(axis=1), valid.reshape(len(table), -1).mean(axis=1)


def _gain(ones: Sequence[float], others: Sequence[float], name: str = "difference") -> float:
    return _mean(name, [a - b for a, b in zip(ones, others, strict=True)])


def _trained(
    case: Case, recipe: Recipe, name: str, options: Mapping[str, Any], look: Callable[[], None] = lambda: None
) -> Members:
    """The networks as their last epoch left them; `look` is called after each epoch."""
    watched = f"watched-{name}"
    made = case.prepared(replace(recipe, weighting=watched, options={watched: options}))
    members = Members([made.network(first) for first in _firsts(case)])
    generators = [torch.Generator().manual_seed(first) for first in _firsts(case)]
    torch.manual_seed(case.seed)
    fit(members, made.train, None, made.recipe, generators, lambda epoch: look())
    return members


def _against_equal(
    bars: Bars, name: str, plan: Plan, recipe: Recipe, seeds: Sequence[int], *others: Mapping[str, Any]
) -> None:
    """Points more than equal weights, with the weighting's own options, then with `others`."""
    if len(seeds) == 1:
        bars.long(f"weighting.{name}.minus_equal", "differences need five seeds")
        return
    found = cases(plan, seeds)
    equal = [_skill(case, recipe) for case in found]
    for options in ({}, *others):
        weighed = replace(recipe, weighting=name, options={name: options})
        said = "".join(f".{key}_{value:g}" for key, value in options.items())
        gained = _gain([_skill(case, weighed) for case in found], equal, f"{name}{said} - equal weights")
        bars.bar(f"weighting.{name}{said}.minus_equal", gained, ">=", -0.5)


def average(bars: Bars, seeds: Sequence[int]) -> None:
    """Dynamic weight average gives more to what does not fall yet."""
    slow = []
    for case in cases(PACES, seeds):
        history: list[Tensor] = []
        _trained(case, RECIPE, "dynamic-weight-average", {}, partial(_keep_weights, history))
        early = torch.stack(history[1:10]).mean(dim=(0, 1))
        slow.append(float(early[-1] - early[0]))
    bars.bar("weighting.average.slow_minus_fast_weight", _mean("slow - fast", slow), ">=", 0)
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
    bars.bar("weighting.gradnorm.spread_of_sizes_against_equal", _mean("spread", spreads), "<=", 0.5)
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
    bars.bar("weighting.pcgrad.steps_against_a_task_percent", _mean("pcgrad", against["pcgrad"]), "<=", 0)
    bars.bar("weighting.equal.steps_against_a_task_percent", _mean("equal", against["fixed"]), ">=", 1)
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
            _, fitted = fit_members(case.prepared(NARROW), _firsts(case))
            found.append(together(one.conflicts for one in fitted)[0].cosine)
    gains = [a - b for a, b in zip(cosines[1.0], cosines[0.0], strict=True)]
    bars.bar("weighting.conflict.cosine_related_minus_unrelated", _mean("cosines", gains), ">=", 0)
    bars.bar("weighting.conflict.seconds_against_not_looking", _cost(cases(NOISY, [0])[0]), "<=", 1.05)


def _cost(case: Case) -> float:
    """CPU seconds that looking adds to the training of five members at full width."""
    made, looks = case.prepared(WIDE), 0.0
    take = conflict.Looks.take

    def timed(*given: Any) -> None:
        nonlocal looks
        began = time.process_time()
        take(*given)
        looks += time.process_time() - began

    with patch.object(conflict.Looks, "take", timed):
        started = time.process_time()
        fit_members(made, list(range(5)))
        whole = time.process_time() - started
    print(f"seconds: {whole:.2f}, of which {looks:.2f} to look")
    return whole / (whole - looks)


# Labels.


def masks(bars: Bars, seeds: Sequence[int]) -> None:
    """What stands in the place of a missing label changes nothing, and moves nothing."""
    case = cases(replace(KINDS, missing_labels=0.4), [0])[0]
    made, ends = case.prepared(RECIPE), []
    filled = [_filled(made.train, filler) for filler in (0.0, float("nan"), 1e30)]
    for train in filled:
        short = replace(made, train=train, recipe=replace(RECIPE, epochs=5))
        ends.append(_flat(fit_members(short, [0])[0][0]))
    moved = max(float((end - ends[0]).abs().max()) for end in ends)
    bars.bar("weighting.masks.largest_change_by_filler", moved, "<=", 0)
    members = Members([made.network(0)])
    output = members(_one(filled[1]).inputs)
    heads = [members.net.head(t) for t in made.tasks]
    for raw in output.heads.values():
        raw.retain_grad()
    torch.autograd.backward(task_losses(heads, output, _one(filled[1]))[0].sum())
    largest = max(
        float(torch.where(filled[1].known[i], 0.0, raw.grad[0].abs().amax(dim=-1)).max())
        for i, raw in output.heads.items()
        if raw.grad is not None
    )
    bars.bar("weighting.masks.largest_gradient_of_a_missing_label", largest, "<=", 0)


def _filled(batch: Batch, filler: float) -> Batch:
    targets = {i: torch.where(batch.known[i][:, None], t, filler) for i, t in batch.targets.items()}
    return replace(batch, targets=targets)


def _one(batch: Batch) -> Batch:
    return batch.take(torch.arange(len(batch))[None])


def _flat(state: State) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in state.values()])


def doubles(bars: Bars, seeds: Sequence[int]) -> None:
    """A sample with weight 2 is a sample that stands there twice, also through a whole training."""
    case = cases(replace(KINDS, samples=100, missing_labels=0.2), [0])[0]
    recipe = replace(RECIPE, batch_size=128, epochs=20, dropout=0.0)
    made = replace(case.prepared(recipe), valid=None)
    n = len(made.train)
    weights = torch.ones(1, n)
    weights[0, 3] = 2
    twice = fit_members(made, [0], rows=torch.tensor([*range(n), 3]))[0][0]
    once, plain = fit_members(made, [0], weights)[0][0], fit_members(made, [0])[0][0]
    bars.bar(
        "weighting.weights.twice_minus_weight_2", float((_flat(twice) - _flat(once)).abs().max()), "<=", 1e-6
    )
    bars.bar(
        "weighting.weights.twice_minus_once", float((_flat(twice) - _flat(plain)).abs().max()), ">=", 1e-4
    )


def balance(bars: Bars, seeds: Sequence[int]) -> None:
    """Rare classes are found, and labels of many raters lead."""
    f1, skills = [], []
    for case in cases(VOTES, seeds):
        rare, judged = _with_a_rare_class(case), "sentiment.M"
        found = [_macro_f1(rare, replace(RECIPE, balance=rules), judged) for rules in (("class",), ())]
        f1.append(100 * (found[0] - found[1]))
    for case in cases(VOTED, seeds):
        uneven = _with_few_or_many_raters(case)
        weighed = _skill(uneven, replace(RECIPE, balance=("raters",)))
        skills.append(weighed - _skill(uneven, RECIPE))
    bars.bar("weighting.balance.class_minus_none_macro_f1", _mean("class", f1), ">=", 0)
    bars.bar("weighting.balance.raters_minus_none", _mean("raters", skills), ">=", 0)


def _with_a_rare_class(case: Case) -> Case:
    """Three train labels of four that say ``negative`` are gone."""
    rng = np.random.default_rng(case.seed)
    labels = dict(case.corpus.labels)
    for (name, task_id), label in case.corpus.labels.items():
        if name in case.train and label.value == "negative" and rng.random() < 0.75:
            del labels[name, task_id]
    return replace(case, corpus=replace(case.corpus, labels=labels))


def _macro_f1(case: Case, recipe: Recipe, task_id: str) -> float:
    made = case.prepared(recipe)
    states, _ = fit_members(made, _firsts(case))
    said = ask(restore(made.widths, made.tasks, recipe, states, "cpu"), case.exam(recipe).inputs)
    truth = case.corpus.truth[task_id][[int(i) for i in case.corpus.labelled(case.held_out)]]
    return float(np.mean([f1_score(truth, one.argmax(-1), average="macro") for one in said.heads[task_id]]))


def _with_few_or_many_raters(case: Case) -> Case:
    """Of three train samples in four only one of the raters was asked."""
    rng = np.random.default_rng(case.seed)
    labels = dict(case.corpus.labels)
    for (name, task_id), label in case.corpus.labels.items():
        if int(name) % 4 and name not in case.held_out:
            alias = str(rng.choice(list(label.distribution), p=list(label.distribution.values())))
            labels[name, task_id] = Label(name, task_id, float(alias), {alias: 1.0}, 1)
    return replace(case, corpus=replace(case.corpus, labels=labels))


# Ensembles.


def ensembles(bars: Bars, seeds: Sequence[int]) -> None:
    """The mean is at least as good as the average member, and surer only where it may be."""
    for name in ("deep", "bagging"):
        gains = []
        for case in cases(CONFIDENT, seeds):
            recipe = replace(RECIPE, ensemble=name, members=5, patience=40, dropout=0.0)
            training_set = case.corpus.training_set(case.train, [])
            made = fit_ensemble(training_set, recipe, seed=case.seed, device="cpu")
            alone = [
                replace(made, members=(m,), fitted=(f,))
                for m, f in zip(made.members, made.fitted, strict=True)
            ]
            figures = np.array([_figures(case, one) for one in (made, *alone)])
            gains.append(figures[0] - figures[1:].mean(axis=0))
        skills, right, errors = np.transpose(gains).tolist()
        bars.bar(f"weighting.{name}.skill_minus_average_member", _mean(f"{name} r", skills), ">=", 0)
        bars.bar(f"weighting.{name}.accuracy_minus_average_member", _mean(f"{name} accuracy", right), ">=", 0)
        bars.bar(f"weighting.{name}.ece_minus_average_member", _mean(f"{name} ece", errors), "<=", 0)


def _figures(case: Case, checkpoint: Checkpoint) -> tuple[float, float, float]:
    """Points of the scale, accuracy of the classes, and their calibration error, all times 100."""
    said, _ = predict(checkpoint, case.corpus.read, case.held_out, places=case.corpus.place)
    rows = [int(i) for i in case.held_out]
    number, classes = said["sentiment.T"], said["sentiment.M"]
    skill = np.corrcoef(number.mean, case.corpus.truth["sentiment.T"][rows])[0, 1]
    positions = {a.value: i for i, a in enumerate(classes.task.dimension.answers)}
    voted = [positions[case.corpus.labels[i, "sentiment.M"].value] for i in case.held_out]
    right = classes.probs.argmax(axis=1) == np.array(voted)
    return 100 * skill, 100 * right.mean(), 100 * confidence_error(classes.probs.max(axis=1), right)
