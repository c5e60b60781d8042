"""Experts: a few of them per sample, evenly loaded; or all of them, weighed by each task in its own way."""

import pytest
import torch

from annotate.errors import ConfigError
from annotate.learning.sharings.mixture_of_experts import SparseGate, unevenness
from annotate.learning.tensors import Inputs
from tests.support.dimensions import SENTIMENT_TASKS
from tests.support.sharing_nets import network, samples, taught


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize("active", [1, 2, 5])
@pytest.mark.parametrize("training", [True, False])
def test_exactly_so_many_experts_are_asked_per_sample(active, training):
    gate = SparseGate(hidden=6, experts=8, active=active).train(training)
    gates, load = gate(torch.randn(50, 6))
    assert ((gates > 0).sum(dim=-1) == active).all()
    assert torch.allclose(gates.sum(dim=-1), torch.ones(50))
    assert ((load >= 0) & (load <= 1)).all()


def test_exactly_so_many_are_asked_where_all_gates_say_the_same():
    gate = SparseGate(hidden=6, experts=8, active=2).eval()
    assert ((gate(torch.zeros(5, 6))[0] > 0).sum(dim=-1) == 2).all()


def test_experts_that_are_not_asked_learn_nothing_from_a_sample():
    net = network("mixture-of-experts", (SENTIMENT_TASKS[0],), experts=8, active=2).eval()
    inputs, _ = samples(1)
    gates = net.sharing.gate(net.sharing.tower(inputs)["T"])[0][0]
    torch.autograd.backward(net(inputs).heads["sentiment.T"].sum())
    moved = net.sharing.experts.layer.weight.grad.view(8, -1).abs().sum(dim=1) > 0
    assert torch.equal(moved, gates > 0)
    assert int(moved.sum()) == 2


def test_load_is_the_chance_to_be_chosen_when_the_noise_is_drawn_anew():
    gate = SparseGate(hidden=4, experts=3, active=1).train()
    representation = torch.randn(1, 4).expand(20000, 4)
    gates, load = gate(representation)
    assert torch.allclose((gates > 0).float().mean(dim=0), load.mean(dim=0), atol=0.05)


def loads(net) -> torch.Tensor:
    """(experts,) how many representations of the samples each is asked about."""
    inputs, _ = samples(200, seed=1)
    with torch.no_grad():
        representations = torch.stack(list(net.eval().sharing.tower(inputs).values()))
        return (net.sharing.gate(representations)[0] > 0).float().flatten(0, 1).sum(dim=0)


def test_the_load_evens_out_with_the_balance_and_not_without():
    inputs, targets = samples(64)
    found = []
    for balance in (0.0, 0.1):
        net = network("mixture-of-experts", experts=8, active=2, balance=balance)
        with torch.no_grad():  # all the same experts at first
            net.sharing.gate.clean.weight.mul_(0.1)[:2] += 0.5
        taught(net, inputs, targets, 80)
        found.append(float(unevenness(loads(net)) ** 0.5))
    assert found[1] < min(1.0, 0.7 * found[0])


def test_samples_of_which_nothing_is_there_burden_no_expert():
    net = network("mixture-of-experts", (SENTIMENT_TASKS[0],)).eval()
    inputs, _ = samples(16)
    there = (torch.arange(16) < 8)[:, None]
    half = Inputs(
        {key: torch.where(there[..., None], v, 0.0) for key, v in inputs.values.items()},
        {key: mask & there for key, mask in inputs.masks.items()},
        inputs.video,
        inputs.position,
    )
    assert torch.allclose(net(half).penalty, net(_first(inputs, 8)).penalty)
    assert (net(half).heads["sentiment.T"][8:] == net.head(SENTIMENT_TASKS[0]).layer.bias).all()


def _first(inputs: Inputs, n: int) -> Inputs:
    values = {key: v[:n] for key, v in inputs.values.items()}
    masks = {key: v[:n] for key, v in inputs.masks.items()}
    return Inputs(values, masks, inputs.video[:n], inputs.position[:n])


@pytest.mark.parametrize("options", [{"experts": 2}, {"active": 0}, {"active": 9}])
def test_a_choice_that_is_none_is_refused(options):
    with pytest.raises(ConfigError, match="experts cannot be active"):
        network("mixture-of-experts", **options)


def test_mmoe_each_task_weighs_the_same_experts_by_a_gate_of_its_own():
    net = network("mmoe", experts=5)
    inputs, _ = samples()
    torch.autograd.backward(net(inputs).heads["sentiment.T"].square().sum())
    assert (net.sharing.experts.layer.weight.grad.view(5, -1).abs().sum(dim=1) > 0).all()
    moved = {
        name.split(".")[2] for name, p in net.named_parameters() if ".gates." in name and p.grad is not None
    }
    assert moved == {"sentiment-T"}


def test_mmoe_gates_of_two_tasks_on_one_code_part_ways():
    net = network("mmoe")
    inputs, targets = samples(64)
    taught(net, inputs, targets, 60)
    representation = net.sharing.tower(inputs)["T"]
    weights = [
        net.sharing.gates[t.id.replace(".", "-")](representation).softmax(dim=-1)
        for t in (SENTIMENT_TASKS[0], SENTIMENT_TASKS[3])
    ]
    assert all(torch.allclose(w.sum(dim=-1), torch.ones(64)) and (w > 0).all() for w in weights)
    assert (weights[0] - weights[1]).abs().mean().item() > 0.02


def test_mmoe_without_experts_is_refused():
    with pytest.raises(ConfigError, match="1 or more"):
        network("mmoe", experts=0)
