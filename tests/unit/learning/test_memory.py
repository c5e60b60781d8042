"""A batch that does not fit into memory is computed in pieces, and nothing but the time is another one.

No machine that tests run on has a GPU to fill, so the network itself says that its memory is full.
"""

import logging
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from annotate.errors import ModelError
from annotate.learning import resume
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.members import ask
from annotate.learning.memory import cut, in_pieces, report_out_of_memory
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.predict import predict
from annotate.learning.resume import Checkpointer
from annotate.learning.trainer import evaluate, fit
from annotate.learning.weightings.base import Weighting
from tests.contracts.test_part_contract import SMALL, labelled
from tests.unit.learning.test_resume import Killed
from tests.unit.learning.test_sampling import batch, generators, members

RECIPE = ModelConfig(hidden=8, members=2, epochs=3, batch_size=8, dropout=0.0)
FULL = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 4 GiB"
forward = MultiTaskNet.forward


@pytest.fixture(autouse=True)
def _said(caplog):
    torch.set_num_threads(1)
    caplog.set_level(logging.WARNING, logger="annotate")
    logging.getLogger("annotate").propagate = True


class FullWhenBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise torch.OutOfMemoryError(FULL)


@pytest.fixture
def memory(monkeypatch):
    """``memory(rows)``: how many samples fit; those of every member count by themselves."""

    def make(rows, *, when_back=False):
        def net(self, inputs):
            if inputs.video.shape[-1] <= rows:
                return forward(self, inputs)
            if not when_back:
                raise torch.OutOfMemoryError(FULL)
            output = forward(self, inputs)
            return output._replace(heads={i: FullWhenBack.apply(raw) for i, raw in output.heads.items()})

        monkeypatch.setattr(MultiTaskNet, "forward", net)

    return make


def train(config, checkpointer=None, killed_after=None, n=20):
    torch.manual_seed(0)
    video = torch.tensor([0] * 3 + [1] * 2 + [2] * 5 + [3] * 4 + [4] * 6)[:n]
    data, valid = (batch(torch.rand(n, 4) < 0.8, video) for _ in range(2))
    made = members(config.members, config)

    def on_epoch(epoch):
        if epoch.number == killed_after:
            raise Killed

    fit(made, data, valid, config, generators(config.members), on_epoch, checkpointer=checkpointer)
    return {**made.weights(), **{f"answers {i}": said for i, said in ask(made, data.inputs).heads.items()}}


def same(one, other, atol):
    return all(torch.allclose(one[name], other[name], atol=atol, rtol=0) for name in one)


def answers(trained):
    """Weights that change no answer are moved by rounding alone, and AdamW makes steps of that."""
    return {name: said for name, said in trained.items() if name.startswith("answers")}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"weighting": "uncertainty"},
        {"weighting": "gradnorm"},
        {"weighting": "pcgrad", "members": 1},
        {"sharing": "soft-l2"},
        {"sampling": "one-task"},
        {"encoder": "hierarchical-attention", "batch_size": 12},
    ],
    ids=str,
)
def test_it_learns_what_it_learns_of_the_whole_batch_up_to_rounding(memory, caplog, changed):
    config = replace(RECIPE, **changed)
    whole = train(config)
    memory(3 if "encoder" not in changed else 6)
    assert same(answers(whole), train(config), 2e-5)
    assert "the memory of cpu is full: from now on" in caplog.text


def test_a_memory_that_is_full_on_the_way_back_counts_too(memory):
    config = replace(RECIPE, members=1)  # `vmap` knows no function that breaks
    whole = train(config)
    memory(5, when_back=True)
    assert same(answers(whole), train(config), 2e-5)


def test_a_weighting_that_has_moved_before_the_memory_was_full_is_not_moved_twice(monkeypatch):
    config = replace(RECIPE, weighting="gradnorm", members=1, options={"gradnorm": {"rate": 0.2}})
    whole, back, full = train(config), Weighting.backward, [True]

    def once(*args):
        if full:
            full.clear()
            raise torch.OutOfMemoryError(FULL)
        back(*args)

    monkeypatch.setattr(Weighting, "backward", once)
    assert same(answers(whole), train(config), 2e-5) and not full


def test_it_is_said_once_for_each_time_it_is_halved(memory, caplog):
    memory(2)
    train(replace(RECIPE, members=1), n=8)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4  # 8 to 4 to 2, while it learns and while it is asked
    assert "4 samples instead of 8" in lines[0] and "2 samples instead of 4" in lines[1]


def test_where_one_sample_does_not_fit_the_way_out_is_said(memory):
    memory(0)
    with pytest.raises(ModelError, match="even for one sample at a time: CUDA out of memory") as error:
        train(RECIPE)
    assert "train.members" in error.value.hint
    memory(5)
    with pytest.raises(ModelError, match="one video at a time"):  # of six utterances
        train(replace(RECIPE, encoder="hierarchical-attention"))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("Storage size calculation overflowed with sizes=[1000000000000, 1000000000000]"),
        MemoryError("Unable to allocate 7.28 TiB for an array"),
        torch.OutOfMemoryError(FULL),
    ],
)
def test_a_network_that_no_memory_holds_says_what_to_lower(error):
    with (
        pytest.raises(ModelError, match="memory is too small for a network") as raised,
        report_out_of_memory(),
    ):
        raise error
    assert "train.hidden" in raised.value.hint


def test_a_fault_that_is_not_of_memory_stays_one():
    with pytest.raises(RuntimeError, match="shapes"), report_out_of_memory():
        raise RuntimeError("shapes do not match")


def test_answers_are_the_same_in_pieces(memory):
    config = replace(SMALL, encoder="hierarchical-attention")
    training_set = labelled()
    made = fit_ensemble(training_set, config, seed=0, device="cpu")
    ids = training_set.train
    output = predict(made, training_set.read, ids, origins=training_set.origins)
    whole, embeddings = output.predictions, output.embeddings
    memory(4)
    output = predict(made, training_set.read, ids, origins=training_set.origins)
    again, embeddings_again = output.predictions, output.embeddings
    assert np.allclose(embeddings, embeddings_again, atol=1e-6)
    for task_id, said in whole.items():
        assert np.allclose(said.members, again[task_id].members, atol=1e-6)


def test_losses_on_valid_are_the_same_in_pieces(memory):
    torch.manual_seed(0)
    data, made = batch(torch.rand(20, 4) < 0.5), members(2, RECIPE)
    whole, _ = evaluate(made, data)
    memory(3)
    assert torch.allclose(evaluate(made, data)[0], whole, atol=1e-6)
    assert made.memory_limit.rows == 2


def test_pieces_cover_every_sample_once_and_keep_videos_whole():
    data = batch(torch.ones(20, 4, dtype=torch.bool), torch.tensor([3, 1, 1, 0, 2] * 4))
    for whole_videos in (False, True):
        pieces = cut(data.inputs, 9, whole_videos)
        assert sorted(torch.cat(pieces).tolist()) == list(range(20))
        assert max(map(len, pieces)) <= 9
    assert all(
        not set(data.inputs.video[a].tolist()) & set(data.inputs.video[b].tolist())
        for a, b in pairwise(pieces)
    )
    assert cut(data.inputs, 20, False) == [] == cut(data.inputs, 0, True)


def test_what_dropout_drops_is_the_same_on_the_way_back():
    torch.manual_seed(0)
    made = members(2, replace(RECIPE, dropout=0.5))
    inputs = batch(torch.ones(8, 4, dtype=torch.bool)).take(torch.arange(8).expand(2, 8)).inputs
    made.train()
    gradients = []
    for pieces in ([torch.arange(8)], list(torch.arange(8).split(3))):
        torch.manual_seed(7)
        parameters = list(made.parameters.values())
        output = in_pieces(made, inputs, pieces)
        once = torch.autograd.grad(output.heads["sentiment.M"].sum(), parameters, allow_unused=True)
        torch.manual_seed(7)
        parts = [
            made(inputs._replace(
                values={m: t[:, p] for m, t in inputs.values.items()},
                masks={m: t[:, p] for m, t in inputs.masks.items()},
                video=inputs.video[:, p], position=inputs.position[:, p],
            )).heads["sentiment.M"].sum()
            for p in pieces
        ]  # fmt: skip
        twice = torch.autograd.grad(sum(parts), parameters, allow_unused=True)
        gradients.append([(a, b) for a, b in zip(once, twice, strict=True) if a is not None])
    for pairs in gradients:
        assert pairs and all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


def test_killed_after_it_was_halved_it_ends_with_the_same_weights(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(resume, "LARGEST_SHARE", 1e9)
    memory(3)
    config = replace(RECIPE, dropout=0.4)
    clean = train(config)
    with pytest.raises(Killed):
        train(config, Checkpointer(tmp_path), killed_after=2)
    assert same(clean, train(config, Checkpointer(tmp_path)), 0)


def test_being_asked_leaves_what_is_learned_alone(memory):
    torch.manual_seed(0)
    made = members(2, RECIPE)
    memory(3)
    output = ask(made, batch(torch.ones(10, 4, dtype=torch.bool)).inputs)
    assert output.fused.shape == (2, 10, 8) and not output.fused.requires_grad
