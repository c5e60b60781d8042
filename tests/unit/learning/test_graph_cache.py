"""A cached graph changes no number, and what cannot be traced or is not tested trains as before."""

from dataclasses import replace

import pytest
import torch

from annotate.learning import graph_cache
from annotate.learning.members import Members
from annotate.learning.model_config import ModelConfig
from annotate.learning.trainer import _Run
from annotate.registry import ENCODERS, FUSIONS, SHARINGS, WEIGHTINGS
from tests.unit.learning.test_sampling import batch, generators, members

RECIPE = ModelConfig(hidden=8, members=2, epochs=3, batch_size=4, dropout=0.3)
MOST_LABELS = torch.tensor([[True, True, False, True]] * 5 + [[True, False, True, True]] * 3)
"""(n, tasks)"""
ALL_LABELS = torch.ones(8, 4, dtype=torch.bool)


@pytest.fixture(autouse=True)
def no_graphs_from_before(monkeypatch):
    monkeypatch.setattr(graph_cache, "_ENTRIES", {})


def begun(
    made: Members, config: ModelConfig, known: torch.Tensor = ALL_LABELS, *, cache_graphs: bool = True
) -> _Run:
    torch.manual_seed(1)
    return _Run(made, batch(known), None, config, generators(made.count), None, cache_graphs=cache_graphs)


def weights_after(run: _Run) -> dict[str, torch.Tensor]:
    for _ in range(run.config.epochs):
        run.one_epoch()
    return run.members.weights()


def trained(made: Members, config: ModelConfig, known: torch.Tensor = ALL_LABELS) -> dict[str, torch.Tensor]:
    return weights_after(begun(made, config, known))


def fresh(count: int, config: ModelConfig) -> Members:
    torch.manual_seed(0)
    return members(count, config)


@pytest.mark.parametrize("known", [ALL_LABELS, MOST_LABELS], ids=["all", "most"])
@pytest.mark.parametrize("count", [1, 3])
def test_traced_or_not_the_same_weights_come_out_dropout_included(count, known, monkeypatch):
    config = replace(RECIPE, epochs=6)
    plain = trained(fresh(count, config), config, known)
    monkeypatch.setattr(graph_cache, "PAYS_AFTER", 2)
    run = begun(fresh(count, config), config, known)
    fast = weights_after(run)
    assert run.train_step.cache.trusted
    assert all(torch.equal(plain[name], fast[name]) for name in plain)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_every_weighting_teaches_the_same_when_traced(name, monkeypatch):
    config = replace(RECIPE, weighting=name)
    plain = trained(fresh(2, config), config)
    monkeypatch.setattr(graph_cache, "PAYS_AFTER", 2)
    fast = trained(fresh(2, config), config)
    assert all(torch.equal(plain[name], fast[name]) for name in plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        *(replace(RECIPE, encoder=name) for name in ENCODERS.names() if not ENCODERS.get(name).reads_tokens),
        *(replace(RECIPE, fusion=name) for name in FUSIONS.names()),
        *(replace(RECIPE, sharing=name) for name in SHARINGS.names()),
    ],
    ids=lambda r: f"{r.encoder} {r.fusion} {r.sharing}",
)
def test_every_part_trains_the_same_when_traced(config, monkeypatch):
    plain = trained(fresh(2, config), config)
    monkeypatch.setattr(graph_cache, "PAYS_AFTER", 2)
    fast = trained(fresh(2, config), config)
    assert all(torch.equal(plain[name], fast[name]) for name in plain)


def test_what_asks_a_tensor_for_its_number_trains_as_before(monkeypatch):
    monkeypatch.setattr(graph_cache, "PAYS_AFTER", 2)
    run = begun(fresh(1, RECIPE), RECIPE)
    function = run.train_step.cache.function

    def peeks(branch, tensors):
        return function(branch, tensors) if float(tensors[0].detach().sum()) < 1e9 else []

    run.train_step.cache.function = peeks
    fast = weights_after(run)
    assert not run.train_step.cache.trusted and not run.train_step.cache.entry.possible
    plain = trained(fresh(1, RECIPE), RECIPE)
    assert all(torch.equal(plain[name], fast[name]) for name in plain)


def test_what_would_give_other_numbers_is_not_used():
    calls = iter(range(9))

    def drifts(branch, tensors):
        return [tensors[0] + next(calls)]

    assert graph_cache.trace(drifts, (), [torch.ones(3)]) is None


def test_parameters_that_are_only_added_up_do_not_share_one_gradient():
    def added(branch, tensors):
        one, other = (t.detach().requires_grad_() for t in tensors)
        with torch.enable_grad():
            return list(torch.autograd.grad((one + other).square().sum(), [one, other]))

    assert graph_cache.trace(added, (), [torch.ones(3), torch.ones(3)]) is None


def test_the_next_training_of_the_kind_begins_with_its_graphs(monkeypatch):
    plain = trained(fresh(2, RECIPE), RECIPE, MOST_LABELS)
    monkeypatch.setattr(graph_cache, "PAYS_AFTER", 2)
    trained(fresh(2, RECIPE), RECIPE)
    monkeypatch.setattr(graph_cache, "trace", lambda *_: pytest.fail("traced twice"))
    run = begun(fresh(2, RECIPE), RECIPE, MOST_LABELS)
    run.one_epoch()
    assert run.train_step.cache.trusted
    run.epochs = 2
    for _ in range(2):
        run.one_epoch()
    assert all(torch.equal(plain[name], weight) for name, weight in run.members.weights().items())


def test_another_kind_of_training_does_not_take_it_over(monkeypatch):
    monkeypatch.setattr(graph_cache, "PAYS_AFTER", 2)
    trained(fresh(2, RECIPE), RECIPE)
    run = begun(fresh(2, RECIPE), replace(RECIPE, weighting="uncertainty"))
    assert not run.train_step.cache.entry.graphs


def test_what_a_training_does_otherwise_is_not_taken_over(monkeypatch):
    monkeypatch.setattr(graph_cache, "PAYS_AFTER", 0)
    first = graph_cache.GraphCache(lambda branch, tensors: [tensors[0] + 1], "kind")
    other = graph_cache.GraphCache(lambda branch, tensors: [tensors[0] + 2], "kind")
    one = torch.ones(2)
    assert first((), [one], 2) is None and first((), [one], 2)[0].tolist() == [2, 2]
    assert other((), [one], 2) is None and other((), [one], 2) is None  # looked at, then traced anew
    assert other((), [one], 2)[0].tolist() == [3, 3]
    assert first((), [one], 2)[0].tolist() == [2, 2]


def test_only_some_kinds_are_remembered(monkeypatch):
    monkeypatch.setattr(graph_cache, "MOST_ENTRIES", 2)
    for kind in "abac":
        graph_cache.GraphCache(lambda branch, tensors: [], kind)
    assert list(graph_cache._ENTRIES) == ["a", "c"]


@pytest.mark.parametrize("dropout", [0.0])
def test_members_side_by_side_train_as_each_would_alone(dropout, monkeypatch):
    """In 1e-5 after an epoch, whether traced, under vmap or one after the other."""
    config = replace(RECIPE, dropout=dropout, epochs=1)
    together = trained(fresh(2, config), config)
    monkeypatch.setattr("annotate.learning.network.MultiTaskNet.vectorised", False)
    looped = trained(fresh(2, config), config)
    assert all(torch.allclose(together[name], looped[name], atol=1e-5) for name in together)


def test_only_who_asks_for_it_gets_cached_graphs(monkeypatch):
    monkeypatch.setattr(graph_cache, "trace", lambda *_: pytest.fail("traced"))
    monkeypatch.setattr(graph_cache, "PAYS_AFTER", 0)
    run = begun(fresh(2, RECIPE), RECIPE, cache_graphs=False)
    weights_after(run)
    assert run.train_step.cache is None


def test_an_untested_version_of_torch_trains_the_same_without_the_cache(monkeypatch):
    monkeypatch.setattr(graph_cache, "PAYS_AFTER", 2)
    run = begun(fresh(2, RECIPE), RECIPE)
    cached = weights_after(run)
    assert run.train_step.cache.trusted
    monkeypatch.setattr(torch, "__version__", f"{graph_cache.TESTED_TORCH[1][0]}.99.0")
    run = begun(fresh(2, RECIPE), RECIPE)
    plain = weights_after(run)
    assert run.train_step.cache is None
    assert all(torch.equal(plain[name], cached[name]) for name in plain)


@pytest.mark.parametrize(
    ("version", "tested"),
    [
        ("2.13.0", True), ("2.13.0+cpu", True), ("2.13.1.dev20260101+cu128", True),
        ("2.15.0+cu130", True), ("2.12.1", False), ("2.99.0", False), ("3.0.0", False), ("unknown", False),
    ],
)  # fmt: skip
def test_the_tested_versions_of_torch_are_a_range(version, tested):
    assert graph_cache.tested_torch(version) is tested


def test_the_installed_torch_is_a_tested_one():
    assert graph_cache.tested_torch(torch.__version__)
