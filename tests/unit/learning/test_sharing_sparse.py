"""Each task has a sub-network of its own in one trunk, found by pruning."""

import pytest
import torch

from annotate.errors import ConfigError
from annotate.learning.sharings.sparse import Sparse
from tests.support.dimensions import SENTIMENT_TASKS
from tests.support.sharing_nets import network, samples, taught

KEEP = 0.4


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def train_tasks(nets, task_ids, epochs) -> None:
    """As a trainer would, so many steps."""
    inputs, targets = samples()
    for net in nets:
        taught(net, inputs, {i: targets[i] if i in task_ids else torch.zeros(32) for i in targets}, epochs)


def rehearsed(**options):
    """A network that found its parts, and its weights before it looked for them."""
    warm = {}

    def practised(nets, task_ids, epochs):
        train_tasks(nets, task_ids, epochs)
        if not warm:  # the warm-up comes first
            warm.update({n: p.detach().clone() for n, p in nets[0].named_parameters()})

    net = network("sparse", keep=KEEP, rounds=2, warm_up=5, epochs=4, **options)
    Sparse.pretrain([net], practised)
    return net, warm


@pytest.fixture(scope="module")
def pruned():
    torch.set_num_threads(1)
    return rehearsed()


def test_each_task_keeps_its_share_of_every_layer_that_it_reads_and_nothing_of_the_others(pruned):
    sharing = pruned[0].sharing
    assert sharing.pruned
    for name in sharing.pruned:
        for mask, task in zip(sharing.mask(name), SENTIMENT_TASKS, strict=True):
            expected = KEEP if Sparse._reads(task.modality.value, name) else 0.0
            assert float(mask.float().mean()) == pytest.approx(expected, abs=0.5 / mask.numel()), name


def test_tasks_keep_different_weights_and_training_starts_again_from_the_warm_ones(pruned):
    net, warm = pruned
    assert all(torch.equal(p, warm[n]) for n, p in net.named_parameters())
    masks = net.sharing.mask("tower.shared.layers.0.weight")
    assert all(not torch.equal(masks[0], other) for other in masks[1:])
    assert net.sharing.used() < 1


@pytest.mark.parametrize("place", range(4))
def test_a_task_reads_and_moves_only_its_own_weights(pruned, place):
    net, task, sharing = pruned[0].eval(), SENTIMENT_TASKS[place], pruned[0].sharing
    inputs, _ = samples()
    net.zero_grad()
    torch.autograd.backward(net(inputs).heads[task.id].square().sum())
    for name in sharing.pruned:
        grad, own = sharing.reader.get_parameter(name).grad, sharing.mask(name)[place]
        assert grad is None or bool((grad[~own] == 0).all()), name
        assert bool(own.any()) == (grad is not None and bool((grad != 0).any())), name
    with torch.no_grad():
        before = net(inputs).heads[task.id]
        kept = {name: sharing.reader.get_parameter(name).clone() for name in sharing.pruned}
        for name in sharing.pruned:
            sharing.reader.get_parameter(name)[~sharing.mask(name)[place]] += 1.0
        after = net(inputs).heads
        for name, weight in kept.items():
            sharing.reader.get_parameter(name).copy_(weight)
    assert torch.equal(before, after[task.id])


def test_the_largest_weights_are_kept_and_what_is_gone_stays_gone():
    sharing = network("sparse").sharing
    name = "tower.shared.layers.0.weight"
    weight = sharing.reader.get_parameter(name)
    sharing.prune(0, 0.5)
    first = sharing.mask(name)[0].clone()
    assert weight[first].abs().min() >= weight[~first].abs().max()
    with torch.no_grad():
        weight[~first] = 9.0
    sharing.prune(0, 0.25)
    second = sharing.mask(name)[0]
    assert int(second.sum()) == weight.numel() // 4
    assert not bool((second & ~first).any())


def test_overlap_is_what_both_keep_of_what_either_keeps():
    sharing = network("sparse", SENTIMENT_TASKS[:2]).sharing
    for name in sharing.pruned:
        masks = sharing.mask(name)
        masks[:] = masks & (torch.arange(masks[0].numel()) % 2 == 0).view_as(masks[0])
    assert sharing.overlap() == {("sentiment.T", "sentiment.A"): 1.0}
    for name in sharing.pruned:
        sharing.mask(name)[1] ^= True
    assert sharing.overlap() == {("sentiment.T", "sentiment.A"): 0.0}
    assert "0 %" in sharing.notes()[0]


@pytest.mark.parametrize(
    "options", [{"keep": 0.0}, {"keep": 1.5}, {"rounds": 0}, {"warm_up": 0}, {"epochs": 0}]
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(ConfigError) as caught:
        network("sparse", **options)
    assert caught.value.hint
