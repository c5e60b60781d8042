"""A network per task: truly apart, tied by springs or by rank, or stitched together."""

import pytest
import torch

from annotate.learning.members import Members
from annotate.learning.network import MultiTaskNet
from annotate.learning.sharings._ties import stacked
from annotate.learning.sharings.soft_trace_norm import trace_norms
from annotate.learning.trainer import make_optimizer, make_weighting
from annotate.types import Modality, Task
from tests.support.dimensions import SENTIMENT, SENTIMENT_TASKS
from tests.support.sharing_nets import furthest, network, samples, taught

CLOSE = 1e-3
FAR = 0.05


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def size(net: MultiTaskNet) -> int:
    return sum(p.numel() for p in net.parameters())


def towers_as(net: MultiTaskNet, source: MultiTaskNet) -> MultiTaskNet:
    """`net` with the weights of the towers and heads of `source`."""
    net.load_state_dict(source.state_dict(), strict=False)
    return net


def like_hard(net: MultiTaskNet, hard: MultiTaskNet) -> MultiTaskNet:
    """`net` with a copy of the tower of `hard` for every task, and its heads."""
    weights = hard.state_dict()
    for name in net.state_dict():
        family, _, rest = name.partition(".")
        inside = rest.split(".", 2)
        if family == "sharing" and inside[0] == "towers":
            weights[name] = hard.state_dict()[f"sharing.tower.{inside[2]}"]
    net.load_state_dict({name: weights[name] for name in net.state_dict()})
    return net


# none


@pytest.mark.parametrize("task", SENTIMENT_TASKS, ids=lambda task: task.id)
def test_none_what_one_task_learns_moves_no_weight_of_another(task):
    net = network("none")
    inputs, _ = samples()
    torch.autograd.backward(net(inputs).heads[task.id].square().sum())
    moved = {name for name, p in net.named_parameters() if p.grad is not None and (p.grad != 0).any()}
    own = task.id.replace(".", "-")
    assert moved
    assert all(own in name.split(".") for name in moved)


def test_none_is_the_sum_of_the_networks_of_its_tasks():
    assert size(network("none")) == sum(size(network("none", (task,))) for task in SENTIMENT_TASKS)


def test_none_builds_one_encoder_for_a_task_of_one_modality():
    net = network("none", (SENTIMENT_TASKS[0],))
    names = {name for name, _ in net.named_parameters() if name.startswith("sharing.")}
    assert any(".encoders.T." in name for name in names)
    assert not any(part in name for name in names for part in (".encoders.A.", ".encoders.V.", ".fusion."))


def test_none_trains_each_task_as_if_it_were_alone():
    inputs, targets = samples()
    together = network("none")
    lone = [towers_as(network("none", (task,)), _part(together, task)) for task in SENTIMENT_TASKS]
    found = taught(together, inputs, targets)
    alone = {
        task.id: taught(net, inputs, targets)[task.id]
        for task, net in zip(SENTIMENT_TASKS, lone, strict=True)
    }
    assert furthest(found, alone) < 1e-5


def _part(net: MultiTaskNet, task: Task) -> MultiTaskNet:
    part = network("none", (task,), seed=9)
    part.load_state_dict({name: net.state_dict()[name] for name in part.state_dict()})
    return part


# soft-l2


def test_soft_l2_without_springs_equals_none():
    inputs, targets = samples()
    loose = network("soft-l2", strength=1e-6)
    apart = towers_as(network("none"), loose)
    hard = network("hard")
    found = taught(loose, inputs, targets)
    assert furthest(found, taught(apart, inputs, targets)) < CLOSE
    assert furthest(found, taught(like_hard(network("none"), hard), inputs, targets)) > FAR


def test_soft_l2_with_endless_springs_equals_hard_sharing_from_the_same_start():
    inputs, targets = samples()
    hard = network("hard")
    stiff = like_hard(network("soft-l2", strength=1e8), hard)
    apart = like_hard(network("none"), hard)
    expected = taught(hard, inputs, targets)
    assert furthest(taught(apart, inputs, targets), expected) > FAR
    assert furthest(taught(stiff, inputs, targets), expected) < CLOSE
    for weights in zip(*_by_tower(stiff), strict=True):
        assert all(torch.allclose(weights[0], other, atol=1e-5) for other in weights)


def _by_tower(net: MultiTaskNet):
    """What all towers have: the shared layer's weights, as they are used."""
    used, _ = net.sharing.tied_weights()
    return [[w for n, w in weights.items() if n.startswith("shared.")] for weights in used.values()]


def test_soft_l2_the_stronger_the_springs_the_closer_the_towers():
    inputs, targets = samples()
    nets = [network("soft-l2", strength=s) for s in (0.0, 0.01, 1.0)]
    distances = []
    for net in nets:
        taught(net, inputs, targets, 25)
        distances.append(net.sharing.tied_weights()[1].item())
    assert distances[0] > 1.2 * distances[1] > 2 * distances[2] > 0


def test_soft_l2_ties_only_what_both_towers_have():
    net = network("soft-l2", (SENTIMENT_TASKS[0], SENTIMENT_TASKS[3]))
    assert net.sharing.tied
    for name, owners in net.sharing.tied.items():
        assert owners == ("sentiment-T", "sentiment-M")
        assert name.startswith(("encoders.T.", "shared."))
    assert not network("soft-l2", (SENTIMENT_TASKS[0],)).sharing.tied


# soft-trace-norm


def effective_rank(stack: torch.Tensor) -> float:
    """Exponential of the entropy of the singular values' shares (Roy and Vetterli 2007)."""
    shares = torch.linalg.svdvals(stack.detach().flatten(1))
    shares = shares / shares.sum()
    return float(torch.exp(-(shares * shares.clamp(min=1e-12).log()).sum()))


def test_soft_trace_norm_lowers_the_effective_rank_and_at_zero_equals_none():
    inputs, targets = samples()
    ranks = []
    for strength in (0.0, 0.3):
        net = network("soft-trace-norm", strength=strength)
        apart = towers_as(network("none"), net)
        distance = furthest(taught(net, inputs, targets, 50), taught(apart, inputs, targets, 50))
        assert (distance < 1e-5) == (strength == 0)
        found = [effective_rank(s) for s in stacked(net.sharing.towers, net.sharing.tied).values()]
        ranks.append(sum(found) / len(found))
    assert ranks[1] < 0.9 * ranks[0]


def test_soft_trace_norm_is_the_sum_of_singular_values():
    stacks = [torch.randn(3, 4, 5), torch.randn(2, 6), torch.randn(3, 7)]
    expected = sum(float(torch.linalg.svdvals(s.flatten(1)).sum()) for s in stacks)
    assert float(trace_norms(stacks)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("stack", [torch.eye(3, 6), torch.zeros(3, 6), torch.ones(3, 6)], ids=str)
def test_soft_trace_norm_has_a_slope_where_singular_values_are_equal_or_zero(stack):
    stack = stack.double().requires_grad_()
    torch.autograd.backward(trace_norms([stack]))
    assert torch.isfinite(stack.grad).all()
    assert torch.autograd.gradcheck(lambda s: trace_norms([s]), torch.eye(3, 6).double().requires_grad_())


# cross-stitch


def test_cross_stitch_with_mixtures_that_mix_nothing_equals_none():
    inputs, targets = samples()
    found = []
    for own, rate in ((1.0, 0.0), (0.9, 10.0)):
        net = network("cross-stitch", own=own, rate=rate)
        apart = towers_as(network("none"), net)
        found.append(furthest(taught(net, inputs, targets), taught(apart, inputs, targets)))
    assert found[0] < 1e-5
    assert found[1] > FAR


def test_cross_stitch_starts_with_a_tenth_of_the_others_and_learns_it_faster():
    tasks = (
        *SENTIMENT_TASKS,
        Task(SENTIMENT.__class__("joy", SENTIMENT.kind, SENTIMENT.answers), Modality.TEXT),
    )
    net = network("cross-stitch", tasks)
    expected = torch.full((3, 3), 0.05).fill_diagonal_(0.9)
    assert torch.allclose(net.sharing.stitches["encoder-T"].shares, expected)
    members = Members([net])
    optimizer = make_optimizer(members, make_weighting(members, net.config), net.config)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in members.parameters.items():
        faster = 10 if ".stitches." in name else 1
        assert rates[id(parameter)] == pytest.approx(faster * net.config.learning_rate), name


def test_cross_stitch_carries_what_one_task_learns_to_the_towers_of_its_modality_only():
    net = network("cross-stitch")
    inputs, _ = samples()
    torch.autograd.backward(net(inputs).heads["sentiment.T"].square().sum())
    moved = {
        name.split(".")[2] for name, p in net.named_parameters() if ".towers." in name and p.grad is not None
    }
    assert moved == {"sentiment-T", "sentiment-M"}
    foreign = [p.grad for name, p in net.named_parameters() if ".encoders.A." in name]
    assert all(grad is None for grad in foreign)
