"""Encoders that read row by row see what a mean over time cannot, and nothing that is masked."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from annotate.errors import ConfigError
from annotate.learning.batches import Origin, make_inputs
from annotate.learning.encoders._gru import BiGru
from annotate.learning.encoders.transformer import Block
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.model_config import ModelConfig
from annotate.learning.predict import predict
from annotate.learning.tensors import Frames
from annotate.options import parse_options
from annotate.registry import ENCODERS
from annotate.types import Modality
from benchmarks._generated import Plan, generate

QUICK = ModelConfig(
    hidden=32, members=1, epochs=15, patience=15, batch_size=64, dropout=0.0, learning_rate=1e-2
)
ONE = {"tasks": ("sentiment.T",), "feature_noise": 0.1, "groups": 15}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@cache
def trained(plan, name):
    """A model with that encoder, its corpus, and a third of the groups that it has not seen."""
    corpus = generate(PLANS[plan], np.random.default_rng(0))
    held_out = np.isin(corpus.groups, sorted(set(corpus.groups))[::3])
    train, test = ([f"{i:06d}" for i in np.flatnonzero(part)] for part in (~held_out, held_out))

    def origins(ids):
        return [Origin(*origin) for origin in corpus.origins(ids)]

    training_set = replace(corpus.training_set(train, []), origins=origins)
    made = fit_ensemble(training_set, replace(QUICK, encoder=name), seed=0, device="cpu")
    return made, corpus, test, origins


@cache
def correlation(plan, name):
    """With the truth, on those not seen."""
    made, corpus, test, origins = trained(plan, name)
    predicted = predict(made, corpus.read, test, origins=origins).predictions["sentiment.T"].mean
    truth = corpus.truth["sentiment.T"][[int(i) for i in test]]
    return float(np.corrcoef(predicted, truth)[0, 1])


def encoder(name, width=3, hidden=8, **options):
    return ENCODERS.get(name)(width, hidden, 0.0, parse_options(ENCODERS, name, options)).eval()


def frames(n=4, rows=6, width=3):
    mask = torch.arange(rows) < torch.tensor([6, 4, 1, 0])[:n, None]
    return Frames(
        torch.randn(n, rows, width), mask, torch.tensor([0, 0, 1, 1])[:n], torch.tensor([0, 1, 0, 1])[:n]
    )


PLANS = {
    "planted": Plan(samples=450, frames=(8, 10), planted_frame=True, dims={Modality.TEXT: 6}, **ONE),
    "ordered": Plan(samples=200, frames=(4, 5), order_matters=True, dims={Modality.TEXT: 6}, **ONE),
    "around": Plan(samples=450, context=True, dims={Modality.TEXT: 6}, **ONE),
}


@pytest.mark.parametrize(("name", "least"), [("temporal-cnn", 0.85), ("hierarchical-attention", 0.96)])
def test_a_planted_frame_is_found_where_the_mean_over_time_drowns_it(name, least):
    """With means where the maximum and the attention are, they reach 0.71 and 0.88."""
    found = correlation("planted", name)
    drowned = correlation("planted", "mean-pool")
    assert drowned < 0.5 < least < found, (found, drowned)


def test_attention_learns_to_look_at_the_planted_frame():
    made, corpus, test, origins = trained("planted", "hierarchical-attention")
    rows = {Modality.TEXT: corpus.read(Modality.TEXT, test)}
    seen = make_inputs(rows, made.standardisers, origins(test)).frames("T")
    with torch.no_grad():
        weights = made.load("cpu").net.sharing.tower.encoders["T"].attention_weights(seen).rows
    marked = seen.values[:, :, 0] > 2
    assert (marked.sum(dim=1) == 1).all()
    assert float((weights * marked).sum(dim=1).mean()) > 0.7


@pytest.mark.parametrize("name", ["temporal-cnn", "bi-gru", "transformer"])
def test_order_is_seen_where_the_mean_over_time_has_none(name):
    seen = correlation("ordered", name)
    blind = correlation("ordered", "mean-pool")
    assert seen > blind + 0.3, (seen, blind)


def test_neighbours_in_the_video_are_used_where_the_utterance_alone_does_not_tell():
    used = correlation("around", "hierarchical-attention")
    alone = correlation("around", "mean-pool")
    assert used > alone + 0.3, (used, alone)


def test_attention_sums_to_one_at_both_levels_and_what_is_masked_gets_none():
    seen = frames()
    weights = encoder("hierarchical-attention").attention_weights(seen)
    assert torch.allclose(weights.rows.sum(dim=1), torch.tensor([1.0, 1, 1, 0]))
    assert (weights.rows[~seen.mask] == 0).all()
    assert torch.allclose(weights.utterances.sum(dim=1), torch.tensor([1.0, 1, 1, 0]))
    apart = seen.video[:, None] != seen.video
    assert (weights.utterances[apart] == 0).all()
    assert (weights.utterances[:, 3] == 0).all(), "an utterance without rows is looked at by nobody"


def test_padding_is_nobodys_neighbour():
    seen = frames(3)._replace(video=torch.tensor([-1, -1, 0]))
    assert (encoder("hierarchical-attention").attention_weights(seen).utterances[0] == 0).all()


def test_the_gru_is_the_usual_one():
    ours, usual = BiGru(3, 5), nn.GRU(3, 5, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for at, end in enumerate(("", "_reverse")):
            getattr(usual, f"weight_ih_l0{end}").copy_(ours.read.weight.chunk(2)[at])
            getattr(usual, f"bias_ih_l0{end}").copy_(ours.read.bias.chunk(2)[at])
            getattr(usual, f"weight_hh_l0{end}").copy_(ours.recur[at].T)
            getattr(usual, f"bias_hh_l0{end}").copy_(ours.bias[at, 0])
    values = torch.randn(4, 7, 3)
    mask = torch.arange(7) < torch.tensor([7, 4, 1, 3])[:, None]
    states, last = ours(values, mask)
    for i, count in enumerate(mask.sum(dim=1).tolist()):
        expected, end = usual(values[i : i + 1, :count])
        assert torch.allclose(states[i, :count], expected[0], atol=1e-6)
        assert torch.allclose(last[i], end[:, 0].flatten(), atol=1e-6)
        assert (states[i, count:] == 0).all()


def test_a_block_of_the_transformer_is_the_usual_one():
    ours = Block(8, 2, 0.0)
    usual = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True)
    pairs = [
        (usual.self_attn.out_proj, ours.join), (usual.linear1, ours.layers[0]),
        (usual.linear2, ours.layers[3]), (usual.norm1, ours.before_attention),
        (usual.norm2, ours.before_layers),
    ]  # fmt: skip
    with torch.no_grad():
        usual.self_attn.in_proj_weight.copy_(ours.ask_key_value.weight)
        usual.self_attn.in_proj_bias.copy_(ours.ask_key_value.bias)
    for theirs, mine in pairs:
        theirs.load_state_dict(mine.state_dict())
    values, mask = torch.randn(2, 5, 8), torch.arange(5) < torch.tensor([5, 3])[:, None]
    expected = usual.train()(values, src_key_padding_mask=~mask)
    assert torch.allclose(ours(values, mask)[mask], expected[mask], atol=1e-6)


def test_the_maximum_over_time_is_taken_of_every_window():
    made = encoder("temporal-cnn", kernels=[2])
    seen = frames(1)
    rows = seen.values[0]
    padded = torch.cat([rows, torch.zeros(1, 3)])
    windows = torch.stack([padded[i : i + 2].flatten() for i in range(6)])
    best = torch.relu(made.filters[0](windows)).amax(dim=0)
    assert torch.allclose(made(seen).vector[0], made.layers(best), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("temporal-cnn", {"kernels": []}),
        ("temporal-cnn", {"kernels": [0]}),
        ("transformer", {"heads": 3}),
        ("transformer", {"layers": 0}),
        ("hierarchical-attention", {"reach": 0}),
    ],
)
def test_options_that_cannot_be_are_refused(name, options):
    with pytest.raises(ConfigError) as caught:
        encoder(name, **options)
    assert caught.value.hint
