"""Writing a forward pass down changes no number, and what cannot be written down trains as before."""

from dataclasses import replace

import pytest
import torch

from annotate.learning import traced
from annotate.learning.members import Members
from annotate.learning.recipe import Recipe
from annotate.learning.trainer import fit
from annotate.registry import ENCODERS, FUSIONS, SHARINGS
from tests.unit.test_learning_sampling import batch, generators, members

RECIPE = Recipe(hidden=8, members=2, epochs=3, batch_size=4, dropout=0.3)


def trained(made: Members, recipe: Recipe) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    data = batch(torch.ones(8, 4, dtype=torch.bool))
    fit(made, data, None, recipe, generators(made.count))
    return made.weights()


def fresh(count: int, recipe: Recipe) -> Members:
    torch.manual_seed(0)
    return members(count, recipe)


@pytest.mark.parametrize("count", [1, 3])
def test_written_down_or_not_the_same_weights_come_out_dropout_included(count, monkeypatch):
    plain = trained(fresh(count, RECIPE), RECIPE)
    monkeypatch.setattr(traced, "PAYS_AFTER", 2)
    made = fresh(count, RECIPE)
    fast = trained(made, RECIPE)
    assert len(made._traced.written) == 1
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
    made = fresh(1, RECIPE)
    forward = made._traced.forward

    def peeks(weights, inputs):
        return forward(weights, inputs) if float(inputs.values["T"].detach().sum()) < 1e9 else None

    made._traced.forward = peeks
    fast = trained(made, RECIPE)
    assert not made._traced.written and not made._traced.possible
    plain = trained(fresh(1, RECIPE), RECIPE)
    assert all(torch.equal(plain[name], fast[name]) for name in plain)


def test_what_would_give_other_numbers_is_not_used():
    made = fresh(1, RECIPE)
    calls = iter(range(9))

    def drifts(weights, inputs):
        output = made._together(weights, inputs)
        return output._replace(penalty=output.penalty + next(calls))

    inputs = batch(torch.ones(4, 4, dtype=torch.bool)).take(torch.arange(4)[None]).inputs
    assert traced.write_down(drifts, {**made.parameters, **made.buffers}, inputs) is None


@pytest.mark.parametrize("dropout", [0.0])
def test_members_side_by_side_train_as_each_would_alone(dropout, monkeypatch):
    """In 1e-5 after an epoch, whether written down, under vmap or one after the other."""
    recipe = replace(RECIPE, dropout=dropout, epochs=1)
    together = trained(fresh(2, recipe), recipe)
    monkeypatch.setattr("annotate.learning.network.MultiTaskNet.vectorised", False)
    looped = trained(fresh(2, recipe), recipe)
    assert all(torch.allclose(together[name], looped[name], atol=1e-5) for name in together)
