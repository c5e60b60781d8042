"""Named ways to train: how they are read, and that the baselines of CH-SIMS are what they are called."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from annotate.comparison.variants import ALWAYS, SHORTLIST, read_variants, unshared
from annotate.config.baselines import PRESETS, merge
from annotate.config.sections import TrainSettings
from annotate.config.settings import train_settings
from annotate.errors import ConfigError, UsageError
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.predict import predict
from annotate.learning.prepared import TrainingSet
from annotate.learning.validate import require_plugins
from annotate.types import UNIMODAL, Label, Modality
from tests.support.dimensions import SENTIMENT_TASKS

WIDTHS = {Modality.TEXT: 20, Modality.AUDIO: 12, Modality.VISION: 10}


def config(name, **changes):
    return replace(ModelConfig(**TrainSettings(preset=name).network_options()), **changes)


# -- reading --------------------------------------------------------------------------------------


def test_a_variant_is_a_name_or_keys_or_both():
    found = read_variants(
        "mtfn, sharing=none+fusion=gated,mlmf+members=3+options.low-rank.rank=5,balance=['class', 'group']"
    )
    by_name = {v.name: v.changes for v in found}
    assert by_name["mtfn"] == PRESETS["mtfn"]
    assert by_name["sharing=none+fusion=gated"] == {"sharing": "none", "fusion": "gated"}
    mixed = by_name["mlmf+members=3+options.low-rank.rank=5"]
    assert mixed["members"] == 3
    assert mixed["options"]["low-rank"] == {"size": 64, "rank": 5}
    assert by_name["balance=['class', 'group']"] == {"balance": ["class", "group"]}
    assert PRESETS["mlmf"]["options"]["low-rank"]["rank"] == 3


def test_the_controls_always_take_part_and_nothing_twice():
    assert [v.name for v in read_variants("single-task,default,default")] == [
        "single-task", "default", "present", "no-unimodal-labels",
    ]  # fmt: skip
    assert {v.name for v in read_variants(",".join(SHORTLIST))} == {*SHORTLIST, *ALWAYS}
    assert [v.from_default for v in read_variants("default+hidden=8,mtfn")] == [
        True,
        False,
        False,
        False,
        False,
    ]


def test_a_variant_has_one_name_however_it_is_spaced():
    found = read_variants(" fusion = gated , fusion=gated,mtfn +hidden= 8,mtfn+hidden=8")
    assert [v.name for v in found][:2] == ["fusion=gated", "mtfn+hidden=8"] and len(found) == 5


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("preset=mtfn", "mtfn"),
        ("device=cuda", "--device"),
        ("fusion=gated+device=cpu", "--device"),
        ("=x", "KEY"),
    ],
)
def test_what_decides_nothing_about_the_model_or_more_than_itself_is_no_variant(text, hint):
    with pytest.raises(UsageError) as raised:
        read_variants(text)
    assert hint in raised.value.hint


def test_single_task_is_apart_whatever_the_options_say():
    found = {v.name: v.apart for v in read_variants("single-task+fusion=gated,sharing=none")}
    assert found["single-task+fusion=gated"] and found["single-task"]
    assert not found["sharing=none"] and not found["present"]
    options = {
        "lookup-table": {"shared": True, "rows": 9},
        "text": {"shared": True},
        "hard": {"trunk": False},
    }
    assert unshared(options) == {
        "lookup-table": {"shared": False, "rows": 9}, "text": {"shared": False}, "hard": {"trunk": False},
    }  # fmt: skip


def test_an_unknown_variant_names_those_there_are():
    with pytest.raises(UsageError, match="mtnf") as raised:
        read_variants("mtnf")
    assert "mtfn" in raised.value.hint and "KEY=VALUE" in raised.value.hint


def test_every_variant_of_the_shortlist_can_be_made():
    for variant in read_variants(",".join(SHORTLIST)):
        require_plugins(
            ModelConfig(
                **train_settings(merge(variant.changes, TrainSettings().network_options())).network_options()
            )
        )


# -- presets --------------------------------------------------------------------------------------


def test_a_preset_says_every_key_that_nothing_else_says():
    train = TrainSettings(preset="mtfn", dropout=0.5, options={"tensor": {"size": 4}, "text": {"inner": 9}})
    assert (train.dropout, train.batch_size, train.fusion) == (0.5, 64, "tensor")
    assert train.options["tensor"] == {"size": 4}
    assert train.options["text"] == {"inner": 9} and train.options["audio"] == {"inner": 32}
    assert "preset" not in train.network_options() and "device" not in train.network_options()
    with pytest.raises(ConfigError, match="preset"):
        train_settings({"preset": "mtnf"})


HYPER = {
    # hidden of T, A, V; behind the fusion; dropout; batch; rate; weights of M, T, A, V (CH-SIMS, MMSA 2.2.1)
    "mlf-dnn": ((64, 32, 64), 32, 0.3, 32, 2e-3, (0.6, 0.2, 0.8, 0.8)),
    "mtfn": ((256, 32, 256), 64, 0.2, 64, 5e-3, (0.6, 0.4, 0.0, 1.0)),
    "mlmf": ((256, 32, 256), 64, 0.3, 128, 1e-3, (0.2, 1.0, 0.4, 0.8)),
}


@pytest.mark.parametrize("name", HYPER)
def test_a_preset_has_the_hyper_parameters_of_its_paper(name):
    inner, fused, dropout, batch, rate, weights = HYPER[name]
    made = config(name)
    assert tuple(made.options[m.word]["inner"] for m in UNIMODAL) == inner
    assert (made.hidden, made.dropout, made.batch_size, made.learning_rate) == (fused, dropout, batch, rate)
    assert tuple(made.options["fixed"][k] for k in "MTAV") == weights
    assert (made.weight_decay, made.patience, made.options["mean"]["bend"]) == (0, 8, 0)
    assert made.options.get("low-rank", {}).get("rank", 3) == 3


def _layer(before, after):
    return before * after + after


@pytest.mark.parametrize("name", HYPER)
def test_a_preset_has_as_many_parameters_as_its_layers(name):
    inner, h, *_ = HYPER[name]
    branches = sum(
        _layer(WIDTHS[m], i) + _layer(i, i) + _layer(i, h) for m, i in zip(UNIMODAL, inner, strict=True)
    )
    norm, s = 2 * h, {"mtfn": 20, "mlmf": 64}.get(name, 0)
    fusion = {
        # Three codes, and beside each whether it is there.
        "mlf-dnn": _layer(3 * (h + 1), h) + _layer(h, h) + 2 * norm,
        # Short codes with a 1 ahead, all their products, one layer.
        "mtfn": 3 * _layer(h, s) + _layer((1 + s) ** 3, h) + norm,
        # The same products, weighed by a tensor of rank 3.
        "mlmf": 3 * _layer(h, s) + 3 * 3 * (1 + s) * h + h + norm,
    }[name]
    heads = 4 * _layer(h, 1)
    net = MultiTaskNet(WIDTHS, SENTIMENT_TASKS, config(name))
    assert sum(p.numel() for p in net.parameters()) == branches + fusion + heads


@pytest.mark.parametrize("name", HYPER)
def test_a_preset_learns_what_is_plain(name):
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    ids = [f"{i:03d}" for i in range(90)]
    truth = {m: rng.uniform(-1, 1, len(ids)) for m in UNIMODAL}
    truth[Modality.MULTIMODAL] = np.mean(list(truth.values()), axis=0)
    ways = {m: rng.normal(size=d // 2) for m, d in WIDTHS.items()}
    frames = {m: [(truth[m][k] * ways[m])[None].astype(np.float32) for k in range(90)] for m in UNIMODAL}
    labels = {
        (i, t.id): Label(i, t.id, float(truth[t.modality][k]), {}, 1)
        for k, i in enumerate(ids)
        for t in SENTIMENT_TASKS
    }
    training_set = TrainingSet(
        SENTIMENT_TASKS, ids[:50], ids[50:70], labels, lambda m, wanted: [frames[m][int(i)] for i in wanted],
        {m: m.word for m in UNIMODAL},
    )  # fmt: skip
    made = config(name, members=1, epochs=60)
    checkpoint = fit_ensemble(training_set, made, seed=1, device="cpu")
    predicted = predict(checkpoint, training_set.read, ids[70:]).predictions
    r = np.corrcoef(predicted["sentiment.M"].mean, truth[Modality.MULTIMODAL][70:])[0, 1]
    assert r > 0.6


def test_unimodal_heads_of_the_baselines_stand_on_their_own_branches():
    """Without a trunk that modalities share: what text teaches changes nothing that audio reads."""
    net = MultiTaskNet(WIDTHS, SENTIMENT_TASKS, config("mlf-dnn"))
    names = [n for n, _ in net.named_parameters() if n.startswith("sharing.")]
    assert all(".encoders." in n or ".fusion." in n for n in names)


def test_absolute_error_is_what_the_baselines_minimise():
    net = MultiTaskNet(WIDTHS, SENTIMENT_TASKS, config("mtfn"))
    raw, target = torch.tensor([[0.5], [-3.0]]), torch.tensor([[0.0], [1.0]])
    assert torch.equal(net.head(SENTIMENT_TASKS[0]).loss(raw, target), torch.tensor([0.5, 4.0]))


# -- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"sharing": "crosstitch"}, "train.sharing: no sharing is called 'crosstitch'", "'cross-stitch'"),
        ({"text_encoder": "mean-pol"}, "train.text_encoder: no encoder", "'mean-pool'"),
        ({"regression_head": "softmax"}, "is not for regression", "mean"),
        ({"options": {"tensr": {"size": 3}}}, "train.options.tensr", "'tensor'"),
        ({"options": {"mean-pool": {"iner": 3}}}, "no option 'iner'", "'inner'"),
        ({"options": {"audio": {"iner": 3}}}, "no option 'iner'", "'inner'"),
        ({"options": {"hard": {"trunk": 3}}}, "train.options.hard.trunk", "change it"),
    ],
)
def test_what_is_not_there_is_said_with_what_was_meant(changes, message, hint):
    with pytest.raises(ConfigError) as raised:
        require_plugins(replace(ModelConfig(), **changes))
    assert message in str(raised.value)
    assert hint in raised.value.hint


def test_options_of_a_plug_in_that_is_not_used_do_no_harm():
    require_plugins(ModelConfig(options={"low-rank": {"rank": 2}}))
