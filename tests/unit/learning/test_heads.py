"""What defines each head: what it is punished for, and what its answers mean."""

import numpy as np
import pytest
import torch

from annotate.learning.heads.base import Target
from annotate.learning.heads.ordinal import logits
from annotate.options import parse_options
from annotate.registry import HEADS
from annotate.types import Label, Modality, Task
from tests.support.dimensions import SENTIMENT, classification, multilabel

SCALE = Task(SENTIMENT, Modality.TEXT)
CLASSES = Task(classification("emotion", *"abc"), Modality.TEXT)
SEVERAL = Task(multilabel("themes", *"abc"), Modality.TEXT)
UNIT = Target()


def make(name, task, **options):
    return HEADS.get(name)(4, task, parse_options(HEADS, name, options))


def learn(head, targets, steps=400):
    """(n, outputs) that the loss likes best when all samples share one output."""
    raw = torch.zeros(1, head.outputs(head.task), requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        head.loss(raw.expand(len(targets), -1), targets).mean().backward()
        optimizer.step()
    return raw.detach().double().numpy()[None]


def test_the_mean_heads_loss_is_squared_nearby_and_linear_far_away():
    loss = make("mean", SCALE).loss(torch.tensor([[0.0], [10.0]]), torch.tensor([[1.0], [0.0]]))
    assert loss.tolist() == pytest.approx([0.25, 9.0])


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_the_gaussian_head_learns_mean_and_spread(beta):
    targets = torch.tensor([[-1.0], [0.0], [1.0], [2.0]])
    said = make("gaussian", SCALE, beta=beta)
    found = said.read(learn(said, targets), UNIT, 0.0)
    assert found.mean[0] == pytest.approx(0.5, abs=0.02)
    assert found.aleatoric[0] == pytest.approx(targets.std(unbiased=False).item(), abs=0.02)


def test_the_gaussian_head_tells_noisy_samples_from_quiet_ones():
    said = make("gaussian", SCALE)
    found = said.read(np.array([[[0.0, -4.0], [0.0, 2.0]]]), UNIT, 0.0)
    assert found.aleatoric[0] < 0.3 < 1.0 < found.aleatoric[1]


def test_a_beta_above_zero_lets_noisy_samples_teach_the_mean():
    pulls = {}
    for beta in (0.0, 1.0):
        raw = torch.tensor([[0.0, 3.0]], requires_grad=True)
        make("gaussian", SCALE, beta=beta).loss(raw, torch.tensor([[1.0]])).sum().backward()
        pulls[beta] = abs(raw.grad[0, 0].item())
    assert pulls[1.0] == pytest.approx(1.0, abs=1e-3)
    assert pulls[0.0] < 0.2


def test_ordinal_borders_never_rise_and_answers_sum_to_one():
    raw = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    assert (logits(raw).diff(dim=-1) <= 0).all()
    said = make("ordinal", SCALE).read(np.random.default_rng(0).normal(size=(3, 20, 2)), UNIT, 0.0)
    assert (said.members >= -1e-6).all()
    assert np.allclose(said.members.sum(axis=-1), 1, atol=1e-5)
    assert (np.abs(said.mean) <= 1).all()


def test_the_ordinal_head_learns_the_shares_of_the_raters():
    said = make("ordinal", SCALE)
    label = Label("a", SCALE.id, 0.3, {"-1": 0.2, "0": 0.3, "1": 0.5}, 10)
    encoded = said.encode(label, UNIT)
    assert encoded == pytest.approx([0.8, 0.5])
    found = said.read(learn(said, torch.tensor([encoded])), UNIT, 0.0)
    assert found.members[0, 0] == pytest.approx([0.2, 0.3, 0.5], abs=0.02)
    assert found.mean[0] == pytest.approx(0.3, abs=0.03)


def test_an_ordinal_value_without_shares_lies_between_its_answers():
    assert make("ordinal", SCALE).encode(Label("a", SCALE.id, -0.25, {}, 1), UNIT) == pytest.approx(
        [0.75, 0.0]
    )


def test_a_split_vote_is_learned_as_split():
    said = make("softmax", CLASSES)
    encoded = said.encode(Label("a", CLASSES.id, "a", {"a": 0.6, "c": 0.4}, 5), UNIT)
    found = said.read(learn(said, torch.tensor([encoded])), UNIT, 0.0)
    assert found.members[0, 0] == pytest.approx([0.6, 0.0, 0.4], abs=0.02)


def test_several_answers_are_learned_apart():
    said = make("sigmoid", SEVERAL)
    encoded = said.encode(Label("a", SEVERAL.id, "a|b", {"a": 0.9, "b": 0.7, "c": 0.1}, 10), UNIT)
    found = said.read(learn(said, torch.tensor([encoded])), UNIT, 0.0)
    assert found.members[0, 0] == pytest.approx([0.9, 0.7, 0.1], abs=0.02)
    assert found.mean[0] == 2


TASK_OF = {task.dimension.kind: task for task in (SCALE, CLASSES, SEVERAL)}


def labels_of(task, rng, count=60):
    """Uneven ones; of several raters where the kind has shares."""
    aliases = [answer.alias for answer in task.dimension.answers]
    for i in range(count):
        shares = rng.dirichlet([6.0, 3.0, 1.0][: len(aliases)])
        value = float(np.clip(rng.normal(), -1, 1)) if task is SCALE else aliases[0]
        yield Label(f"s{i}", task.id, value, dict(zip(aliases, shares.tolist(), strict=True)), 3)


@pytest.mark.parametrize("name", HEADS.names())
def test_a_head_starts_with_the_answer_that_is_best_without_features(name):
    task = TASK_OF[HEADS.get(name).kind]
    head = make(name, task)
    rng = np.random.default_rng(0)
    encoded = torch.tensor([head.encode(label, UNIT) for label in labels_of(task, rng)])
    head.start(encoded, torch.ones(len(encoded)))
    said = head(torch.randn(len(encoded), 4, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(said, said[:1].expand_as(said))
    best = torch.tensor(learn(head, encoded)[0], dtype=torch.float32).expand_as(said)
    if name != "gaussian":  # whose spread is that of the labels in unit scale: 1, whatever these are
        assert head.loss(said, encoded).mean() <= head.loss(best, encoded).mean() + 0.01
    zero = torch.zeros_like(said)
    assert head.loss(said, encoded).mean() < head.loss(zero, encoded).mean()


@pytest.mark.parametrize("name", HEADS.names())
def test_a_head_starts_sane_where_all_labels_are_one(name):
    task = TASK_OF[HEADS.get(name).kind]
    head = make(name, task)
    aliases = [answer.alias for answer in task.dimension.answers]
    only = Label("s", task.id, 1.0 if task is SCALE else aliases[-1], {aliases[-1]: 1.0}, 1)
    encoded = torch.tensor([head.encode(only, UNIT)] * 3)
    head.start(encoded, torch.ones(3))
    said = head(torch.randn(3, 4))
    assert torch.isfinite(said).all() and said.abs().max() < 12
    before = [parameter.clone() for parameter in head.parameters()]
    head.start(encoded, torch.zeros(3))  # no label counts: nothing is known
    assert all(torch.equal(a, b) for a, b in zip(before, head.parameters(), strict=True))


def test_the_weights_of_labels_count_in_what_a_head_starts_with():
    head = make("softmax", CLASSES)
    encoded = torch.eye(3)
    head.start(encoded, torch.tensor([1.0, 1.0, 8.0]))
    assert torch.softmax(head.layer.bias, 0)[2].item() == pytest.approx(8.5 / 11.5, abs=1e-4)
