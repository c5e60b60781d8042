"""A cascade hands answers on, a hierarchy supervises each task at a layer of its own."""

import pytest
import torch

from annotate.errors import ConfigError
from annotate.learning.sharings.cascade import Cascade, CascadeOptions
from annotate.learning.sharings.hierarchical import Hierarchical, HierarchicalOptions
from tests.support.dimensions import SENTIMENT_TASKS
from tests.support.sharing_nets import furthest, network, samples, taught

T, A, V, M = (task.id for task in SENTIMENT_TASKS)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def moved_by(net, change) -> set[str]:
    """The tasks whose answers `change()` moves."""
    inputs, _ = samples()
    with torch.no_grad():
        before = net.eval()(inputs).heads
        change()
        after = net(inputs).heads
    return {i for i in before if not torch.equal(before[i], after[i])}


def learning_from(net, task_id: str) -> set[str]:
    """Names of the parameters that learn from the task."""
    inputs, _ = samples()
    torch.autograd.backward(net(inputs).heads[task_id].square().sum())
    return {n for n, p in net.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}


# cascade


@pytest.mark.parametrize(
    ("order", "moved"), [("TAVM", {A, V, M}), ("VTAM", {A, M}), ("MATV", {A, T, V}), ("MTVA", {A})]
)
def test_cascade_what_a_task_answers_is_heard_by_those_behind_it_and_by_no_other(order, moved):
    net = network("cascade", order=tuple(order))
    assert moved_by(net, lambda: net.head(SENTIMENT_TASKS[1]).layer.bias.add_(1.0)) == moved


@pytest.mark.parametrize("detach", [True, False])
def test_cascade_what_a_task_learns_changes_the_answers_it_hears_only_when_asked(detach):
    learning = learning_from(network("cascade", order=("T", "A", "V", "M"), detach=detach), V)
    assert any(name.startswith("heads.sentiment-V.") for name in learning)
    assert any(name.startswith("heads.sentiment-T.") for name in learning) == (not detach)
    assert any(".encoders.T." in name for name in learning) == (not detach)


def test_cascade_finds_what_only_the_answer_of_another_task_says():
    """The features of audio say nothing of its labels, which are those of text turned round."""
    inputs, targets = samples(200)
    others, wanted = samples(200, seed=1)
    missed = []
    for sharing, options in (("cascade", {"order": ("T", "A", "V", "M")}), ("hard", {})):
        net = network(sharing, **options)
        taught(net, inputs, {**targets, A: -targets[T]}, 60)
        with torch.no_grad():
            said = net.eval()(others).heads[A][:, 0]
        missed.append(float((said + wanted[T]).square().mean() / wanted[T].var()))
    assert missed[0] < 0.5 < 0.9 < missed[1], missed


def test_cascade_tries_every_order_that_ends_with_all_modalities_and_the_one_that_begins_with_them():
    tried = [options.order for options in Cascade.candidates(SENTIMENT_TASKS, CascadeOptions())]
    assert tried[0] == ("T", "A", "V", "M")
    assert len(set(tried)) == len(tried) == 7
    assert sum(order[-1] == "M" for order in tried) == 6
    given = CascadeOptions(order=("V", "M", "T", "A"))
    assert list(Cascade.candidates(SENTIMENT_TASKS, given)) == [given]
    without = [options.order for options in Cascade.candidates(SENTIMENT_TASKS[:2], CascadeOptions())]
    assert without == [("T", "A"), ("A", "T")]


@pytest.mark.parametrize(
    ("order", "said"),
    [("TAM", "leaves out 'V'"), ("TAVX", "names 'X'"), ("TTAVM", "names 'T'")],
)
def test_cascade_refuses_an_order_that_is_none(order, said):
    with pytest.raises(ConfigError, match=said) as caught:
        network("cascade", order=tuple(order))
    assert caught.value.hint


# hierarchical


@pytest.mark.parametrize("levels", [{"T": 1, "A": 2, "V": 3, "M": 2}, {"T": 3, "A": 1, "V": 1, "M": 3}])
def test_hierarchical_a_task_is_supervised_at_its_layer_and_reads_nothing_above(levels):
    for task in SENTIMENT_TASKS:
        net = network("hierarchical", layers=3, **levels)
        read = {n.split(".")[2] for n in learning_from(net, task.id) if n.startswith("sharing.trunk.")}
        assert read == {str(k) for k in range(levels[task.modality.value])}, task.id


@pytest.mark.parametrize(("layer", "moved"), [(0, {T, A, V, M}), (1, {A, V, M}), (2, {V, M})])
def test_hierarchical_a_layer_serves_the_tasks_at_it_and_above(layer, moved):
    net = network("hierarchical", layers=3, T=1, A=2, V=3, M=3)
    assert moved_by(net, lambda: net.sharing.trunk[layer].layers[0].bias.add_(1.0)) == moved


def test_hierarchical_with_all_tasks_at_the_only_layer_is_hard_sharing():
    inputs, targets = samples()
    hard, other = network("hard"), network("hierarchical", layers=1)
    named = {
        n: n.replace(".trunk.0.", ".tower.shared.")
        .replace("sharing.encoders.", "sharing.tower.encoders.")
        .replace("sharing.fusion.", "sharing.tower.fusion.")
        for n, _ in other.named_parameters()
    }
    weights = hard.state_dict()
    other.load_state_dict({n: weights[old] for n, old in named.items()}, strict=False)
    assert furthest(taught(other, inputs, targets), taught(hard, inputs, targets)) < 1e-5


def test_hierarchical_tries_every_way_in_which_no_pass_stands_below_an_earlier_one():
    tried = [
        (o.T, o.A, o.V, o.M) for o in Hierarchical.candidates(SENTIMENT_TASKS, HierarchicalOptions(layers=3))
    ]
    assert tried[0] == (1, 2, 3, 3)
    assert len(set(tried)) == len(tried) == 15
    assert all(list(levels) == sorted(levels) for levels in tried)
    held = Hierarchical.candidates(SENTIMENT_TASKS, HierarchicalOptions(layers=2, T=1, A=1, V=1))
    assert [(o.T, o.A, o.V, o.M) for o in held] == [(1, 1, 1, 2), (1, 1, 1, 1)]


@pytest.mark.parametrize("options", [{"layers": 0}, {"layers": 9}, {"layers": 2, "A": 3}, {"T": -1}])
def test_hierarchical_refuses_a_layer_that_is_not_there(options):
    with pytest.raises(ConfigError) as caught:
        network("hierarchical", **options)
    assert caught.value.hint
