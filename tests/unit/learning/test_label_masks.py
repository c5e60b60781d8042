"""A missing label moves nothing, in any head, weighting or training, whatever number stands in its place."""

from dataclasses import replace

import pytest
import torch

from annotate.learning.batches import Batch
from annotate.learning.losses import task_losses
from annotate.learning.members import Members
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.tensors import Inputs, Output
from annotate.learning.trainer import evaluate, fit
from annotate.options import parse_options
from annotate.registry import HEADS, WEIGHTINGS
from annotate.types import Answer, Dimension, Kind, Modality, Task

ANSWERS = {
    Kind.REGRESSION: tuple(Answer(v, f"{v:g}") for v in (-1.0, 0.0, 1.0)),
    Kind.CLASSIFICATION: tuple(Answer(v, v) for v in "abc"),
    Kind.MULTILABEL: tuple(Answer(v, v) for v in "xyz"),
}
TASKS = tuple(Task(Dimension(kind.value, kind, answers), Modality.TEXT) for kind, answers in ANSWERS.items())
RECIPE = ModelConfig(hidden=8, members=2, epochs=3, batch_size=8, dropout=0.0)
FILLERS = (float("nan"), float("inf"), float("-inf"), 1e30)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def head_of(name):
    task = next(t for t in TASKS if t.dimension.kind is HEADS.get(name).kind)
    return HEADS.get(name)(4, task, parse_options(HEADS, name, {}))


def outcome(head, filler, weight_filler):
    """Losses of two members, and the gradients of what they said; each third label is missing."""
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(2, 9, head.outputs(head.task), generator=generator).requires_grad_()
    known = (torch.arange(9) % 3 != 0).expand(2, 9)
    target = torch.rand(2, 9, head.width(head.task), generator=generator)
    weights = torch.rand(2, 9, generator=generator)
    task_id, order = head.task.id, torch.zeros(2, 9, dtype=torch.long)
    batch = Batch(
        Inputs({}, {}, order, order),
        {task_id: torch.where(known[..., None], target, filler)},
        {task_id: known},
        {task_id: torch.where(known, weights, weight_filler)},
    )
    output = Output({task_id: raw}, torch.zeros(2, 9, 4), torch.zeros(2), {})
    losses, present = task_losses([head], output, batch)
    losses.sum().backward()
    assert present.all() and torch.isfinite(losses).all()
    return losses.detach(), raw.grad


@pytest.mark.parametrize("name", HEADS.names())
@pytest.mark.parametrize("filler", FILLERS)
def test_a_missing_label_has_a_gradient_of_exactly_zero_in_every_head(name, filler):
    head = head_of(name)
    losses, gradient = outcome(head, filler, filler)
    expected_losses, expected = outcome(head, 0.0, 0.0)
    assert torch.equal(losses, expected_losses) and torch.equal(gradient, expected)
    assert (gradient[:, ::3] == 0).all()
    assert (gradient[:, 1::3] != 0).any(dim=-1).all()


def batch(filler: float, n: int = 16, absent: str = "") -> Batch:
    """Some labels of each task are missing, of `absent` all."""
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(n, 1, 5, generator=generator)
    net = MultiTaskNet({Modality.TEXT: 5}, TASKS, RECIPE)
    known, targets, order = {}, {}, torch.arange(n)
    for task in TASKS:
        known[task.id] = (torch.rand(n, generator=generator) < 0.6) & (task.id != absent)
        drawn = torch.rand(n, net.head(task).width(task), generator=generator)
        targets[task.id] = torch.where(known[task.id][:, None], drawn, filler)
    return Batch(
        Inputs({"T": values}, {"T": torch.ones(n, 1, dtype=torch.bool)}, order, order * 0),
        targets, known, {i: torch.where(k, 1.0, filler) for i, k in known.items()},
    )  # fmt: skip


def members(config=RECIPE):
    nets = []
    for seed in range(config.members):
        torch.manual_seed(seed)
        nets.append(MultiTaskNet({Modality.TEXT: 5}, TASKS, config))
    return Members(nets)


@pytest.mark.parametrize("weighting", WEIGHTINGS.names())
def test_a_whole_training_and_its_valid_loss_do_not_see_the_filler(weighting):
    config, found = replace(RECIPE, weighting=weighting), []
    for filler in (0.0, float("nan")):
        made, given = members(config), batch(filler)
        fitted = fit(made, given, given, config, [torch.Generator().manual_seed(k) for k in range(2)])
        found.append((made.weights(), evaluate(made, given)[0], [one.losses for one in fitted]))
    (one, losses, told), (other, losses_too, told_too) = found
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(losses, losses_too) and told == told_too


@pytest.mark.parametrize("weighting", WEIGHTINGS.names())
def test_a_training_leaves_the_head_of_a_task_without_labels_as_it_was(weighting):
    config, absent = replace(RECIPE, weighting=weighting), TASKS[1].id
    made = members(config)
    before = made.weights()
    given = batch(float("nan"), absent=absent)
    fit(made, given, None, config, [torch.Generator().manual_seed(k) for k in range(2)])
    for name, weights in made.weights().items():
        own = name.startswith(f"heads.{absent.replace('.', '-')}")
        assert torch.equal(weights, before[name]) or not own, name
        assert not torch.equal(weights, before[name]) or own or "fusion" in name, name
