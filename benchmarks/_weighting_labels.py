"""Missing labels, weighted samples and ensembles where each of them has something to find.

How it is judged stands in `_mechanisms_weighting`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import Tensor

from annotate.learning.batches import Batch
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.ensemble import fit_ensemble, fit_members
from annotate.learning.ensembles.base import State
from annotate.learning.losses import task_losses
from annotate.learning.members import Members, ask, restore
from annotate.learning.metrics import confidence_error
from annotate.learning.model_config import ModelConfig
from annotate.learning.predict import predict
from annotate.types import Kind, Label
from benchmarks._bars import Bars
from benchmarks._generated import Plan
from benchmarks._speaker_cases import KINDS, RECIPE, TWO, Case, cases, firsts, mean_of, skill

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


def masks(bars: Bars, seeds: Sequence[int]) -> None:
    """What stands in the place of a missing label changes nothing, and moves nothing."""
    case = cases(replace(KINDS, missing_labels=0.4), [0])[0]
    made, ends = case.prepared(RECIPE), []
    filled = [_filled(made.train, filler) for filler in (0.0, float("nan"), 1e30)]
    for train in filled:
        short = replace(made, train=train, config=replace(RECIPE, epochs=5))
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
    config = replace(RECIPE, batch_size=128, epochs=20, dropout=0.0)
    made = replace(case.prepared(config), valid=None)
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
        weighed = skill(uneven, replace(RECIPE, balance=("raters",)))
        skills.append(weighed - skill(uneven, RECIPE))
    bars.bar("weighting.balance.class_minus_none_macro_f1", mean_of("class", f1), ">=", 0)
    bars.bar("weighting.balance.raters_minus_none", mean_of("raters", skills), ">=", 0)


def _with_a_rare_class(case: Case) -> Case:
    """Three train labels of four that say ``negative`` are gone."""
    rng = np.random.default_rng(case.seed)
    labels = dict(case.corpus.labels)
    for (name, task_id), label in case.corpus.labels.items():
        if name in case.train and label.value == "negative" and rng.random() < 0.75:
            del labels[name, task_id]
    return replace(case, corpus=replace(case.corpus, labels=labels))


def _macro_f1(case: Case, config: ModelConfig, task_id: str) -> float:
    made = case.prepared(config)
    states, _ = fit_members(made, firsts(case))
    predicted = ask(restore(made.widths, made.tasks, config, states, "cpu"), case.exam(config).inputs)
    truth = case.corpus.truth[task_id][[int(i) for i in case.corpus.labelled(case.held_out)]]
    return float(
        np.mean([f1_score(truth, one.argmax(-1), average="macro") for one in predicted.heads[task_id]])
    )


def _with_few_or_many_raters(case: Case) -> Case:
    """Of three train samples in four only one of the raters was asked."""
    rng = np.random.default_rng(case.seed)
    labels = dict(case.corpus.labels)
    for (name, task_id), label in case.corpus.labels.items():
        if int(name) % 4 and name not in case.held_out:
            alias = str(rng.choice(list(label.distribution), p=list(label.distribution.values())))
            labels[name, task_id] = Label(name, task_id, float(alias), {alias: 1.0}, 1)
    return replace(case, corpus=replace(case.corpus, labels=labels))


def ensembles(bars: Bars, seeds: Sequence[int]) -> None:
    """The mean is at least as good as the average member, and surer only where it may be."""
    for name in ("deep", "bagging"):
        gains = []
        for case in cases(CONFIDENT, seeds):
            config = replace(RECIPE, ensemble=name, members=5, patience=40, dropout=0.0)
            training_set = case.corpus.training_set(case.train, [])
            made = fit_ensemble(training_set, config, seed=case.seed, device="cpu")
            alone = [
                replace(made, members=(m,), fitted=(f,))
                for m, f in zip(made.members, made.fitted, strict=True)
            ]
            figures = np.array([_figures(case, one) for one in (made, *alone)])
            gains.append(figures[0] - figures[1:].mean(axis=0))
        skills, right, errors = np.transpose(gains).tolist()
        bars.bar(f"weighting.{name}.skill_minus_average_member", mean_of(f"{name} r", skills), ">=", 0)
        bars.bar(
            f"weighting.{name}.accuracy_minus_average_member", mean_of(f"{name} accuracy", right), ">=", 0
        )
        bars.bar(f"weighting.{name}.ece_minus_average_member", mean_of(f"{name} ece", errors), "<=", 0)


def _figures(case: Case, checkpoint: Checkpoint) -> tuple[float, float, float]:
    """Points of the scale, accuracy of the classes, and their calibration error, all times 100."""
    predicted = predict(checkpoint, case.corpus.read, case.held_out, origins=case.corpus.origins).predictions
    rows = [int(i) for i in case.held_out]
    number, classes = predicted["sentiment.T"], predicted["sentiment.M"]
    skill = np.corrcoef(number.mean, case.corpus.truth["sentiment.T"][rows])[0, 1]
    positions = {a.value: i for i, a in enumerate(classes.task.dimension.answers)}
    voted = [positions[case.corpus.labels[i, "sentiment.M"].value] for i in case.held_out]
    right = classes.probs.argmax(axis=1) == np.array(voted)
    return 100 * skill, 100 * right.mean(), 100 * confidence_error(classes.probs.max(axis=1), right)
