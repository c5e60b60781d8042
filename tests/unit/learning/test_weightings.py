"""What defines each weighting: noise lowers a weight, slow tasks get more, conflicts are taken out."""

import re

import pytest
import torch

from annotate.errors import ConfigError
from annotate.learning.members import Members
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.tensors import Inputs
from annotate.learning.weightings.pcgrad import project
from annotate.options import parse_options
from annotate.registry import WEIGHTINGS
from annotate.types import Modality, Task
from tests.support.dimensions import classification, regression

SCALE = regression("sentiment", -1.0, 1.0)
TASKS = tuple(Task(SCALE, m) for m in (Modality.TEXT, Modality.AUDIO))
BOTH = torch.ones(2, 2, dtype=torch.bool)


def make(name, tasks=TASKS, members=2, **options):
    return WEIGHTINGS.get(name)(tasks, members, parse_options(WEIGHTINGS, name, options))


def test_fixed_weights_are_those_given():
    total = make("fixed", T=1.0, A=0.0)(torch.tensor([[2.0, 9.0], [4.0, 9.0]]), BOTH)
    assert total.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("fixed", {"T": 0, "A": 0, "V": 0, "M": 0}, "nothing is learned"),
        ("fixed", {"T": -1.0}, "train.options.fixed.T cannot be -1.0"),
        ("fixed", {"T": float("nan")}, "train.options.fixed.T cannot be nan"),
        ("uncertainty", {"bound": 0.0}, "train.options.uncertainty.bound cannot be 0.0"),
        ("uncertainty", {"rate": 1e30}, "train.options.uncertainty.rate cannot be 1e+30"),
        ("dynamic-weight-average", {"temperature": 0.0}, "temperature cannot be 0.0"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_the_place_to_mend_it(name, options, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as raised:
        parse_options(WEIGHTINGS, name, options)
    assert f"[train.options.{name}]" in raised.value.hint


def test_learned_noise_orders_the_planted_noise_and_keeps_its_bounds():
    made = make("uncertainty", bound=2.0)
    optimizer = torch.optim.Adam(made.parameters(), lr=0.1)
    losses = torch.tensor([[0.1, 1.0], [100.0, 1e-6]])
    for _ in range(300):
        optimizer.zero_grad()
        made(losses, BOTH).sum().backward()
        optimizer.step()
    s = made.log_variance().detach()
    # The optimum of ½ e^-s L + ½ s is s = log L.
    assert s[0, 1] == pytest.approx(0.0, abs=0.05)
    assert s[0, 0] == pytest.approx(-2.0, abs=0.3)
    assert s[1, 0] > 1.5 and s[1, 1] < -1.5
    assert s.abs().max() <= 2.0


def test_learned_noise_gets_somewhere_in_a_training_of_a_few_hundred_steps():
    made = make("uncertainty", members=1)
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-3)
    for _ in range(150):
        optimizer.zero_grad()
        made(torch.tensor([[0.1, 0.4]]), BOTH[:1]).sum().backward()
        optimizer.step()
    assert made.log_variance()[0].tolist() == pytest.approx(torch.tensor([0.1, 0.4]).log().tolist(), abs=0.4)


def test_the_noise_of_one_member_is_not_moved_by_another():
    made = make("uncertainty")
    made(torch.tensor([[1.0, 1.0], [5.0, 5.0]]), BOTH)[0].backward()
    assert (made.raw.grad[1] == 0).all()
    assert (made.raw.grad[0] == 0).all()  # already at the optimum of a loss of one
    made(torch.tensor([[1.0, 1.0], [5.0, 5.0]]), BOTH)[1].backward()
    assert (made.raw.grad[1] != 0).all()


def test_a_class_loss_has_the_form_without_the_half():
    classes = Task(classification("emotion", "a", "b"), Modality.TEXT)
    losses, there = torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool)
    assert make("uncertainty", (classes,), 1)(losses, there).item() == pytest.approx(1.0)
    assert make("uncertainty", TASKS[:1], 1)(losses, there).item() == pytest.approx(0.5)


def test_a_task_whose_loss_falls_slowly_weighs_more_in_the_next_epoch():
    made = make("dynamic-weight-average")
    made.end_epoch(torch.tensor([[1.0, 1.0], [1.0, 1.0]]))
    assert made(torch.ones(2, 2), BOTH).tolist() == pytest.approx([1.0, 1.0])
    made.end_epoch(torch.tensor([[0.5, 1.0], [1.0, 1.0]]))
    slow, fast = make_weights(made)[0][1], make_weights(made)[0][0]
    # exp(1/2) against exp(.5/2), times two tasks
    assert slow / fast == pytest.approx(1.2840, abs=1e-3)
    assert make_weights(made)[1] == pytest.approx([1.0, 1.0])


def test_a_likelihood_below_zero_tells_no_pace_and_takes_no_task_away():
    made = make("dynamic-weight-average")
    for losses in ([0.1, 0.5], [-0.05, 0.45], [-0.2, 0.4], [-0.4, 0.36]):
        made.end_epoch(torch.tensor([losses, losses]))
        assert make_weights(made)[0][0] == pytest.approx(1.0, abs=0.1)


def make_weights(made):
    return made.get_buffer("weights").tolist()


def test_a_task_without_labels_keeps_its_place_in_the_average():
    made = make("dynamic-weight-average")
    for _ in range(3):
        made.end_epoch(torch.tensor([[1.0, torch.nan], [1.0, torch.nan]]))
    assert make_weights(made)[0] == pytest.approx([1.0, 1.0])


def test_projected_gradients_no_longer_conflict():
    raw = torch.tensor([[[1.0, 0.0], [-1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]]])
    made = project(raw)
    assert (made[0, 0] * raw[0, 1]).sum() >= -1e-6
    assert (made[0, 1] * raw[0, 0]).sum() >= -1e-6
    assert torch.allclose(made[0], torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    assert torch.equal(made[1], raw[1])  # nothing to take out


@pytest.mark.parametrize("conflict", [True, False])
def test_pcgrad_differs_from_the_plain_mean_only_where_tasks_conflict(conflict):
    found = {}
    for name in ("pcgrad", "fixed"):
        w = torch.nn.Parameter(torch.tensor([[[1.0, 2.0]]]))
        second = -w[:, 0, 0] + w[:, 0, 1] if conflict else w[:, 0, 0] + w[:, 0, 1]
        losses = torch.stack([w[:, 0, 0], second], dim=1)
        make(name, members=1).backward(losses, BOTH[:1], torch.zeros(1), [w])
        found[name] = w.grad
    assert torch.allclose(found["pcgrad"], found["fixed"]) is not conflict


def test_gradnorm_brings_the_gradients_to_one_size():
    made = make("gradnorm", members=1, rate=0.02)
    w = torch.nn.Parameter(torch.ones(1, 1, 1))
    for _ in range(200):
        w.grad = None
        losses = torch.stack([w[:, 0, 0], 10 * w[:, 0, 0]], dim=1)
        made.backward(losses, BOTH[:1], torch.zeros(1), [w])
    small, large = make_weights(made)[0]
    assert small + large == pytest.approx(2.0)
    assert small * 1 == pytest.approx(large * 10, rel=0.25)


def test_gradnorm_gives_more_to_the_task_that_has_learned_less():
    made = make("gradnorm", members=1)
    w = torch.nn.Parameter(torch.ones(1, 1, 1))
    for step in range(60):
        w.grad = None
        fast = w[:, 0, 0] * (0.5 if step else 1.0)
        losses = torch.stack([fast + fast.detach() * 0, w[:, 0, 0]], dim=1)
        made.backward(
            losses / torch.tensor([[0.5 if step else 1.0, 1.0]]).sqrt(), BOTH[:1], torch.zeros(1), [w]
        )
    fast_weight, slow_weight = make_weights(made)[0]
    assert slow_weight > fast_weight


def test_gradnorm_brings_gradients_to_one_size_where_losses_are_below_zero():
    made = make("gradnorm", members=1, rate=0.02)
    w = torch.nn.Parameter(torch.ones(1, 1, 1))
    for step in range(200):
        w.grad = None
        losses = torch.stack([w[:, 0, 0], 10 * w[:, 0, 0]], dim=1)
        below = torch.tensor([[1.5 if step else 0.0, 0.0]])
        made.backward(losses - below, BOTH[:1], torch.zeros(1), [w])
    small, large = make_weights(made)[0]
    assert small * 1 == pytest.approx(large * 10, rel=0.25)


def seen_in_a_network(name, losses_of=lambda losses: losses):
    """The weighting after one backward pass over a small network, and the network's gradients by name."""
    torch.manual_seed(0)
    widths = {Modality.TEXT: 3, Modality.AUDIO: 4}
    members = Members([MultiTaskNet(widths, TASKS, ModelConfig(hidden=6, dropout=0.0))])
    values = {"T": torch.randn(1, 5, 1, 3), "A": torch.randn(1, 5, 1, 4)}
    masks = {m: torch.ones(1, 5, 1, dtype=torch.bool) for m in values}
    order = torch.arange(5)[None]
    output = members(Inputs(values, masks, order, order * 0))
    # Side by side in one tensor, as the trainer has them.
    losses = torch.stack([output.heads[t.id].square().mean(dim=(1, 2)) for t in TASKS], dim=1)
    made = make(name, members=1)
    made.backward(losses_of(losses), BOTH[:1], output.penalty, list(members.parameters.values()))
    return made, {n: p.grad for n, p in members.parameters.items()}


def test_gradnorm_looks_at_a_matrix_that_every_task_uses_and_not_at_a_head():
    made, gradients = seen_in_a_network("gradnorm")
    assert list(gradients)[int(made.get_buffer("last"))] == "sharing.tower.shared.layers.0.weight"
    assert make_weights(made)[0][0] != 1.0


def test_pcgrad_operates_on_what_tasks_share_and_leaves_heads_their_own_gradient():
    differs = []
    for sign in (1.0, -1.0):  # of one of them the two tasks conflict
        _, plain = seen_in_a_network("fixed", lambda x, sign=sign: x * torch.tensor([[1, sign]]))
        _, made = seen_in_a_network("pcgrad", lambda x, sign=sign: x * torch.tensor([[1, sign]]))
        for name, gradient in plain.items():
            if name.startswith("heads.") or ".encoders." in name:
                assert torch.allclose(made[name], gradient, atol=1e-6), name
        trunk = "sharing.tower.shared.layers.0.weight"
        differs.append(not torch.allclose(made[trunk], plain[trunk], atol=1e-6))
    assert sorted(differs) == [False, True]
