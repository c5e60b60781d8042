"""Layers that learn in bfloat16, and networks that are compiled: the same code that a GPU would run."""

import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from annotate.learning import train_step
from annotate.learning.device import HALVING_PAYS, halves
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.model_config import ModelConfig
from annotate.learning.trainer import evaluate, fit
from tests.contracts.test_part_contract import MODEL, NETWORKS, _name, labelled, models  # noqa: F401
from tests.unit.learning.test_sampling import batch, generators, members

RECIPE = ModelConfig(hidden=16, members=2, epochs=20, batch_size=8, dropout=0.0, learning_rate=1e-2)
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def train(**changes):
    torch.manual_seed(0)
    config = replace(RECIPE, **changes)
    data, made = batch(torch.ones(24, 4, dtype=torch.bool)), members(config.members, config)
    fitted = fit(made, data, None, config, generators(config.members))
    return made, fitted, float(evaluate(made, data)[0].mean())


def test_bfloat16_learns_as_well_and_computes_the_layers_but_not_the_heads_in_it(monkeypatch):
    seen = {}
    step = train_step.in_pieces

    def watched(*args):
        output = step(*args)
        seen.update({task_id: raw.dtype for task_id, raw in output.heads.items()})
        return output

    monkeypatch.setattr(train_step, "in_pieces", watched)
    made, _, half = train(precision="bfloat16")
    assert set(seen.values()) == {torch.float32}
    assert all(p.dtype == torch.float32 for p in made.parameters.values())
    other, _, whole = train(precision="float32")
    name = next(iter(made.parameters))
    assert not torch.equal(made.parameters[name], other.parameters[name])
    assert half == pytest.approx(whole, rel=0.2)


@pytest.mark.parametrize("config", NETWORKS, ids=_name)
def test_every_part_learns_in_bfloat16(config, request, monkeypatch):
    if MODEL in str(config.options):
        monkeypatch.chdir(request.getfixturevalue("models"))
    config = replace(config, precision="bfloat16", epochs=1)
    made = fit_ensemble(labelled(), config, seed=0, device="cpu")
    assert all(torch.isfinite(weight).all() for member in made.members for weight in member.values())


def test_automatic_precision_is_float32_but_for_large_networks_on_a_gpu_that_has_bfloat16(monkeypatch):
    able = SimpleNamespace(is_bf16_supported=lambda including_emulation: not including_emulation)
    monkeypatch.setattr(torch, "cuda", able)
    assert [halves("auto", CUDA, n) for n in (HALVING_PAYS - 1, HALVING_PAYS)] == [False, True]
    assert not halves("auto", CPU, HALVING_PAYS) and not halves("float32", CUDA, HALVING_PAYS)
    able.is_bf16_supported = lambda including_emulation: False
    assert not halves("auto", CUDA, HALVING_PAYS) and halves("bfloat16", CUDA, 1)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's compiler, of itself
@pytest.mark.parametrize("when", ["forward", "backward"])
def test_where_nothing_can_be_compiled_it_is_said_once_and_the_weights_are_those_without(
    monkeypatch, caplog, when
):
    logging.getLogger("annotate").propagate = True

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, values):
            return values.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise RuntimeError("No working C++ compiler found\nand many more lines")

    def compiled(members):
        def run(inputs):
            if when == "forward":
                raise RuntimeError("No working C++ compiler found\nand many more lines")
            output = members(inputs)
            return output._replace(heads={i: Broken.apply(raw) for i, raw in output.heads.items()})

        return run

    plain, _, _ = train()
    monkeypatch.setattr(train_step, "compiled", compiled)
    made, _, _ = train(compile=True)
    assert all(torch.equal(p, plain.parameters[name]) for name, p in made.parameters.items())
    assert [record.getMessage() for record in caplog.records] == [
        "train.compile: the network cannot be compiled here and runs as it is: No working C++ compiler found"
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's compiler, of itself
# The second goes back through the compiled network once for each task, the first once.
@pytest.mark.parametrize("weighting", [pytest.param("fixed", marks=pytest.mark.soak), "pcgrad"])
def test_a_compiled_network_learns_the_same_up_to_rounding(caplog, weighting):
    logging.getLogger("annotate").propagate = True
    changes = {"weighting": weighting, "hidden": 4, "members": 1, "epochs": 2}
    plain, _, _ = train(**changes)
    made, _, _ = train(**changes, compile=True)
    assert not [record for record in caplog.records if record.name.startswith("annotate")]
    for name, p in made.parameters.items():
        assert torch.allclose(p, plain.parameters[name], atol=1e-4), name
