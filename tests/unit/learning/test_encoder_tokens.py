"""Tokens are looked up in one table; a pretrained model is trained further, by all tasks together."""

import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from annotate.errors import ConfigError, ModelError
from annotate.learning import checkpoint
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.members import Members
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.predict import predict
from annotate.learning.prepared import TrainingSet, prepare
from annotate.learning.trainer import _Run
from annotate.types import Label, Modality, Task
from tests.support.dimensions import regression
from tests.support.needs import cannot

TASKS = tuple(
    Task(regression(name, -1.0, 0.0, 1.0), m)
    for name, m in (
        ("sentiment", Modality.TEXT),
        ("arousal", Modality.TEXT),
        ("sentiment", Modality.MULTIMODAL),
    )
)
GOOD, BAD = 7, 9
"""Numbers of the words that decide."""
LOOKED_UP = ModelConfig(
    hidden=16, members=2, epochs=15, patience=15, batch_size=32, dropout=0.0, learning_rate=1e-2,
    text_encoder="lookup-table", options={"lookup-table": {"rows": 64, "columns": 8}},
)  # fmt: skip
FOUND = {"lookup-table": {"rows": 64, "columns": 8, "shared": True}}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    if find_spec("transformers") is None:
        cannot("no transformers: pip install -e '.[pretrained]'")
    from tests.support.tiny_models import save_text_model

    return save_text_model(tmp_path_factory.mktemp("model") / "tiny", rows=64)


def further(model: Path, **options) -> ModelConfig:
    return replace(
        LOOKED_UP, text_encoder="pretrained-text", epochs=2,
        options={"pretrained-text": {"model": str(model), **options}},
    )  # fmt: skip


def training_set(n=120, extractor="words") -> TrainingSet:
    """Sentences of 3 to 8 of fifty words; the tasks ask for one that says good or bad."""
    rng = np.random.default_rng(0)
    ids, values = [f"{i:04d}" for i in range(n)], rng.choice([-1.0, 0.0, 1.0], n)
    words = [rng.integers(10, 60, rng.integers(3, 9)) for _ in ids]
    for sentence, value in zip(words, values, strict=True):
        if value:
            sentence[rng.integers(len(sentence))] = GOOD if value > 0 else BAD
    rows = [np.stack([s // 2048, s % 2048], axis=1).astype(np.float32) for s in words]
    labels = {
        (i, task.id): Label(i, task.id, float(v), {f"{v:g}": 1.0}, 1)
        for i, v in zip(ids, values, strict=True)
        for task in TASKS
    }
    return TrainingSet(
        TASKS, ids[: n // 2], [], labels, lambda _, wanted: [rows[int(i)] for i in wanted],
        {Modality.TEXT: extractor},
    )  # fmt: skip


def net(config: ModelConfig) -> MultiTaskNet:
    return MultiTaskNet({Modality.TEXT: 1}, TASKS, config)


def text_encoders(made: MultiTaskNet) -> list:
    return [tower.encoders["T"] for tower in made.sharing.towers.values()]


def test_all_tasks_look_up_in_one_table_and_keep_their_filters_apart():
    made = net(replace(LOOKED_UP, sharing="none", options=FOUND))
    encoders = text_encoders(made)
    assert len(encoders) == len(TASKS)
    assert {e.table.weight.data_ptr() for e in encoders} == {made.common["T-table"].weight.data_ptr()}
    assert len({e.inner.filters[0].weight.data_ptr() for e in encoders}) == len(TASKS)
    assert [name for name, _ in made.named_parameters() if "table" in name] == ["common.T-table.weight"]


def test_without_asking_nothing_is_shared_where_the_sharing_shares_nothing():
    encoders = text_encoders(net(replace(LOOKED_UP, sharing="none")))
    assert len({e.table.weight.data_ptr() for e in encoders}) == len(TASKS)


def test_one_table_is_trained_by_every_task_and_comes_back_from_a_checkpoint(tmp_path):
    known = training_set()
    config = replace(LOOKED_UP, sharing="none", options=FOUND)
    made = fit_ensemble(known, config, seed=0, device="cpu")
    tables = [name for name in made.members[0] if "table" in name]
    assert tables == ["common.T-table.weight"]
    checkpoint.write(made, tmp_path / "model")
    again = checkpoint.read(tmp_path / "model")
    first, second = (predict(m, known.read, known.train).predictions for m in (made, again))
    for task in TASKS:
        np.testing.assert_array_equal(first[task.id].members, second[task.id].members)


def test_a_step_of_one_task_moves_the_table_and_leaves_the_heads_of_the_others():
    config = replace(LOOKED_UP, sharing="none", sampling="one-task", options=FOUND)
    prepared = prepare(training_set(), config, "cpu")
    members = Members([prepared.network(seed) for seed in (0, 1)])
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    run = _Run(members, prepared.train, None, config, generators, None)
    learned = set()
    for step in run.sampler.epoch(generators):
        before = members.weights()
        run._step(step)
        moved = {name for name, weight in members.weights().items() if not torch.equal(weight, before[name])}
        [here] = {TASKS[i].id.replace(".", "-") for i in range(len(TASKS)) if bool(step.counted[0, i])}
        assert {n.split(".")[1] for n in moved if n.startswith("heads.")} == {here}
        assert "common.T-table.weight" in moved
        learned.add(here)
    assert len(learned) == len(TASKS)


@pytest.mark.parametrize("inner", ["temporal-cnn", "bi-gru", "hierarchical-attention"])
def test_a_word_that_decides_is_learned(inner):
    known = training_set(240)
    config = replace(
        LOOKED_UP, members=1, options={"lookup-table": {"rows": 64, "columns": 8, "encoder": inner}}
    )
    predicted = predict(
        fit_ensemble(known, config, seed=0, device="cpu"), known.read, [f"{i:04d}" for i in range(120, 240)]
    )
    truth = [known.labels[f"{i:04d}", "sentiment.T"].value for i in range(120, 240)]
    assert np.corrcoef(predicted.predictions["sentiment.T"].mean, truth)[0, 1] > 0.8


def test_features_that_are_no_tokens_are_refused():
    known = training_set()
    for wrong in (
        np.full((3, 5), 1.0, np.float32),
        np.full((3, 2), 0.5, np.float32),
        -np.ones((3, 2), np.float32),
    ):
        other = replace(known, read=lambda _, wanted, rows=wrong: [rows for _ in wanted])
        with pytest.raises(ModelError, match="token ids") as caught:
            prepare(other, LOOKED_UP, "cpu")
        assert "word-ids" in caught.value.hint


def test_tokens_are_refused_by_an_encoder_of_measurements():
    with pytest.raises(ConfigError, match=r"word-ids@ab are token ids") as caught:
        prepare(training_set(extractor="word-ids@ab"), replace(LOOKED_UP, text_encoder="bi-gru"), "cpu")
    assert "lookup-table" in caught.value.hint


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"text_encoder": "", "audio_encoder": "lookup-table"}, "reads text, not audio"),
        ({"options": {"lookup-table": {"encoder": "mean-pool"}}}, "row by row"),
        ({"options": {"lookup-table": {"encoder": "lookup-table"}}}, "row by row"),
        ({"options": {"lookup-table": {"rows": 1}}}, "1 rows"),
        ({"text_encoder": "pretrained-text"}, "pretrained-text.model is empty"),
        (
            {"text_encoder": "pretrained-text", "options": {"pretrained-text": {"rate": -1.0}}},
            "rate cannot be",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(changed, said):
    with pytest.raises(ConfigError, match=said) as caught:
        MultiTaskNet({Modality.TEXT: 1, Modality.AUDIO: 3}, TASKS, replace(LOOKED_UP, **changed))
    assert caught.value.hint


def test_a_pretrained_model_begins_as_it_was_saved_one_for_all_tasks(model):
    made = net(replace(further(model, shared=True), sharing="none"))
    saved = load_file(model / "model.safetensors")
    body = made.common["T-body"]
    assert all(encoder.body is body for encoder in text_encoders(made))
    for name, weight in body.network.named_parameters():
        assert torch.equal(weight, saved[name]), name


def test_it_is_trained_further_but_slowly_and_not_at_all_at_rate_zero(model):
    saved = load_file(model / "model.safetensors")

    def drift(**options):
        made = fit_ensemble(training_set(), further(model, **options), seed=0, device="cpu")
        prefix = "sharing.tower.encoders.T.body.network."
        moved = [
            (w - saved[n.removeprefix(prefix)]).abs().max()
            for n, w in made.members[0].items()
            if n.startswith(prefix) and n.removeprefix(prefix) in saved
        ]
        assert moved
        return float(max(moved))

    assert drift(rate=0.0) == 0
    assert 0 < drift(rate=0.02) < 0.1 * drift(rate=1.0)


def test_a_checkpoint_brings_its_weights_back_and_says_so_when_the_model_is_gone(
    model, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked the network")
    )
    shutil.copytree(model, tmp_path / "copy")
    known = training_set()
    made = fit_ensemble(known, further(tmp_path / "copy", rate=1.0), seed=0, device="cpu")
    checkpoint.write(made, tmp_path / "model")
    again = checkpoint.read(tmp_path / "model")
    first, second = (predict(m, known.read, known.train).predictions for m in (made, again))
    for task in TASKS:
        np.testing.assert_array_equal(first[task.id].members, second[task.id].members)
    shutil.rmtree(tmp_path / "copy")
    with pytest.raises(ConfigError, match="there is no folder") as caught:
        predict(again, known.read, known.train)
    assert "put the model back" in caught.value.hint


def test_tokens_of_another_model_are_refused(model):
    known = training_set()
    foreign = replace(known, read=lambda _, wanted: [np.full((3, 2), 5, np.float32) for _ in wanted])
    with pytest.raises(ModelError, match="not the tokens of the pretrained model") as caught:
        fit_ensemble(foreign, further(model), seed=0, device="cpu")
    assert "hf-tokens" in caught.value.hint


def test_pickled_weights_are_refused(model, tmp_path):
    shutil.copytree(model, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="safetensors"):
        net(further(tmp_path / "pickled"))
