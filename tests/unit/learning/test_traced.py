"""Writing a step down changes no number, and what cannot be written down trains as before."""

from dataclasses import replace

import pytest
import torch

from annotate.learning import traced
from annotate.learning.members import Members
from annotate.learning.recipe import Recipe
from annotate.learning.trainer import _Run
from annotate.registry import ENCODERS, FUSIONS, SHARINGS, WEIGHTINGS
from tests.unit.learning.test_sampling import batch, generators, members

RECIPE = Recipe(hidden=8, members=2, epochs=3, batch_size=4, dropout=0.3)
MOST_LABELS = torch.tensor([[True, True, False, True]] * 5 + [[True, False, True, True]] * 3)
"""(n, tasks)"""
ALL_LABELS = torch.ones(8, 4, dtype=torch.bool)


@pytest.fixture(autouse=True)
def nothing_written_down_before(monkeypatch):
    monkeypatch.setattr(traced, "_SHELVES", {})


def begun(made: Members, recipe: Recipe, known: torch.Tensor = ALL_LABELS) -> _Run:
    torch.manual_seed(1)
    return _Run(made, batch(known), None, recipe, generators(made.count), None)


def weights_after(run: _Run) -> dict[str, torch.Tensor]:
    for _ in range(run.recipe.epochs):
        run.one_epoch()
    return run.members.weights()


def trained(made: Members, recipe: Recipe, known: torch.Tensor = ALL_LABELS) -> dict[str, torch.Tensor]:
    return weights_after(begun(made, recipe, known))


def fresh(count: int, recipe: Recipe) -> Members:
    torch.manual_seed(0)
    return members(count, recipe)


@pytest.mark.parametrize("known", [ALL_LABELS, MOST_LABELS], ids=["all", "most"])
@pytest.mark.parametrize("count", [1, 3])
def test_written_down_or_not_the_same_weights_come_out_dropout_included(count, known, monkeypatch):
    recipe = replace(RECIPE, epochs=6)
    plain = trained(fresh(count, recipe), recipe, known)
    monkeypatch.setattr(traced, "PAYS_AFTER", 2)
    run = begun(fresh(count, recipe), recipe, known)
    fast = weights_after(run)
    assert run.lesson.traced.trusted
    assert all(torch.equal(plain[name], fast[name]) for name in plain)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_every_weighting_teaches_the_same_when_written_down(name, monkeypatch):
    recipe = replace(RECIPE, weighting=name)
    plain = trained(fresh(2, recipe), recipe)
    monkeypatch.setattr(traced, "PAYS_AFTER", 2)
    fast = trained(fresh(2, recipe), recipe)
    assert all(torch.equal(plain[name], fast[name]) for name in plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        *(replace(RECIPE, encoder=name) for name in ENCODERS.names() if not ENCODERS.get(name).reads_tokens),
        *(replace(RECIPE, fusion=name) for name in FUSIONS.names()),
        *(replace(RECIPE, sharing=name) for name in SHARINGS.names()),
    ],
    ids=lambda r: f"{r.encoder} {r.fusion} {r.sharing}",
)
def test_every_part_trains_the_same_when_written_down(recipe, monkeypatch):
    plain = trained(fresh(2, recipe), recipe)
    monkeypatch.setattr(traced, "PAYS_AFTER", 2)
    fast = trained(fresh(2, recipe), recipe)
    assert all(torch.equal(plain[name], fast[name]) for name in plain)


def test_what_asks_a_tensor_for_its_number_trains_as_before(monkeypatch):
    monkeypatch.setattr(traced, "PAYS_AFTER", 2)
    run = begun(fresh(1, RECIPE), RECIPE)
    function = run.lesson.traced.function

    def peeks(branch, tensors):
        return function(branch, tensors) if float(tensors[0].detach().sum()) < 1e9 else []

    run.lesson.traced.function = peeks
    fast = weights_after(run)
    assert not run.lesson.traced.trusted and not run.lesson.traced.shelf.possible
    plain = trained(fresh(1, RECIPE), RECIPE)
    assert all(torch.equal(plain[name], fast[name]) for name in plain)


def test_what_would_give_other_numbers_is_not_used():
    calls = iter(range(9))

    def drifts(branch, tensors):
        return [tensors[0] + next(calls)]

    assert traced.write_down(drifts, (), [torch.ones(3)]) is None


def test_parameters_that_are_only_added_up_do_not_share_one_gradient():
    def added(branch, tensors):
        one, other = (t.detach().requires_grad_() for t in tensors)
        with torch.enable_grad():
            return list(torch.autograd.grad((one + other).square().sum(), [one, other]))

    assert traced.write_down(added, (), [torch.ones(3), torch.ones(3)]) is None


def test_the_next_training_of_the_kind_begins_with_what_is_written_down(monkeypatch):
    plain = trained(fresh(2, RECIPE), RECIPE, MOST_LABELS)
    monkeypatch.setattr(traced, "PAYS_AFTER", 2)
    trained(fresh(2, RECIPE), RECIPE)
    monkeypatch.setattr(traced, "write_down", lambda *_: pytest.fail("written down twice"))
    run = begun(fresh(2, RECIPE), RECIPE, MOST_LABELS)
    run.one_epoch()
    assert run.lesson.traced.trusted
    run.epochs = 2
    for _ in range(2):
        run.one_epoch()
    assert all(torch.equal(plain[name], weight) for name, weight in run.members.weights().items())


def test_another_kind_of_training_does_not_take_it_over(monkeypatch):
    monkeypatch.setattr(traced, "PAYS_AFTER", 2)
    trained(fresh(2, RECIPE), RECIPE)
    run = begun(fresh(2, RECIPE), replace(RECIPE, weighting="uncertainty"))
    assert not run.lesson.traced.shelf.written


def test_what_a_training_does_otherwise_is_not_taken_over(monkeypatch):
    monkeypatch.setattr(traced, "PAYS_AFTER", 0)
    first = traced.Traced(lambda branch, tensors: [tensors[0] + 1], "kind")
    other = traced.Traced(lambda branch, tensors: [tensors[0] + 2], "kind")
    one = torch.ones(2)
    assert first((), [one], 2) is None and first((), [one], 2)[0].tolist() == [2, 2]
    assert other((), [one], 2) is None and other((), [one], 2) is None  # looked at, then written down anew
    assert other((), [one], 2)[0].tolist() == [3, 3]
    assert first((), [one], 2)[0].tolist() == [2, 2]


def test_only_some_kinds_are_remembered(monkeypatch):
    monkeypatch.setattr(traced, "MOST_SHELVES", 2)
    for kind in "abac":
        traced.Traced(lambda branch, tensors: [], kind)
    assert list(traced._SHELVES) == ["a", "c"]


@pytest.mark.parametrize("dropout", [0.0])
def test_members_side_by_side_train_as_each_would_alone(dropout, monkeypatch):
    """In 1e-5 after an epoch, whether written down, under vmap or one after the other."""
    recipe = replace(RECIPE, dropout=dropout, epochs=1)
    together = trained(fresh(2, recipe), recipe)
    monkeypatch.setattr("annotate.learning.network.MultiTaskNet.vectorised", False)
    looped = trained(fresh(2, recipe), recipe)
    assert all(torch.allclose(together[name], looped[name], atol=1e-5) for name in together)
