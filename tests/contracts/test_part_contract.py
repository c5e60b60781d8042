"""Promises every part of the network keeps, family by family. A new file is tested here unasked."""

from dataclasses import fields, replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from annotate.errors import ConfigError
from annotate.learning.batches import Batch
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.losses import task_losses
from annotate.learning.members import Members, repeat
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.predict import predict
from annotate.learning.prepared import TrainingSet
from annotate.learning.tensors import Inputs
from annotate.options import parse_options
from annotate.registry import ENCODERS, ENSEMBLES, FUSIONS, HEADS, LEARNING, SHARINGS, WEIGHTINGS
from annotate.types import UNIMODAL, Kind, Label, Modality, Task
from tests.support.dimensions import EMOTION, SENTIMENT_TASKS, multilabel
from tests.support.needs import cannot

THEMES = multilabel("themes", "work", "family")
TASKS = (
    *SENTIMENT_TASKS,
    Task(EMOTION, Modality.MULTIMODAL),
    Task(THEMES, Modality.MULTIMODAL),
)
DIMS = {Modality.TEXT: 2, Modality.AUDIO: 4, Modality.VISION: 3}
SMALL = ModelConfig(hidden=8, members=2, epochs=3, patience=3, batch_size=8, dropout=0.0)
MODEL = "tiny-text"
"""Where a pretrained model lies, below the folder that the tests run in."""


def encoding(name: str) -> ModelConfig:
    """With the encoder, for the modalities that it serves."""
    options = {name: {"model": MODEL}} if hasattr(ENCODERS.get(name).Options, "model") else {}
    if ENCODERS.get(name).modalities == UNIMODAL:
        return replace(SMALL, encoder=name, options=options)
    return replace(
        SMALL, **{f"{m.word}_encoder": name for m in ENCODERS.get(name).modalities}, options=options
    )


NETWORKS = [
    *(encoding(name) for name in ENCODERS.names()),
    *(replace(SMALL, fusion=name) for name in FUSIONS.names()),
    *(replace(SMALL, sharing=name) for name in SHARINGS.names()),
]
"""One for each part that stands in the network's own path."""


def _name(config: ModelConfig) -> str:
    changed = [
        f"{f.name}={v}"
        for f in fields(config)
        if f.name != "options" and (v := getattr(config, f.name)) != getattr(SMALL, f.name)
    ]
    return " ".join(changed) or "default"


configs = pytest.mark.parametrize("config", NETWORKS, ids=_name)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with what configs that need a pretrained model name."""
    if find_spec("transformers") is None:
        cannot("no transformers: pip install -e '.[pretrained]'")
    from tests.support.tiny_models import save_text_model

    folder = tmp_path_factory.mktemp("models")
    save_text_model(folder / MODEL, rows=6 * 2048)  # the numbers of all tokens made here
    return folder


@pytest.fixture(autouse=True)
def _where_models_are(request, monkeypatch):
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if "config" in params and MODEL in str(params["config"].options):
        monkeypatch.chdir(request.getfixturevalue("models"))


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def pooled(config: ModelConfig, frames: dict[Modality, list[np.ndarray]]) -> dict[str, list[np.ndarray]]:
    return {
        m: [ENCODERS.get(config.encoder_of(m)).pool_frames(f) for f in rows] for m, rows in frames.items()
    }


def make(config: ModelConfig, n: int = 6, seed: int = 0) -> tuple[MultiTaskNet, Inputs]:
    """A network in evaluation mode, and n samples of three videos: 2 to 5 frames of small whole numbers."""
    from annotate.learning.batches import Origin, make_inputs

    rng = np.random.default_rng(seed)
    frames = {
        m: [rng.integers(0, 5, (int(rng.integers(2, 6)), d)).astype(np.float32) + 1 for _ in range(n)]
        for m, d in DIMS.items()
    }
    rows = pooled(config, frames)
    torch.manual_seed(seed)
    net = MultiTaskNet({m: r[0].shape[1] for m, r in rows.items()}, TASKS, config).eval()
    origins = [Origin(f"video{i % 3}", i, "") for i in range(n)]
    return net, make_inputs(rows, {}, origins)


def hide(inputs: Inputs, modality: str, rows: slice = slice(None), filler: float = 0.0) -> Inputs:
    """The same, with a modality missing from `rows`."""
    values, masks = dict(inputs.values), dict(inputs.masks)
    values[modality], masks[modality] = values[modality].clone(), masks[modality].clone()
    values[modality][rows] = filler
    masks[modality][rows] = False
    return Inputs(values, masks, inputs.video, inputs.position)


@configs
def test_it_says_something_finite_for_every_task_and_learns_from_each(config):
    net, inputs = make(config)
    output = net(inputs)
    assert output.fused.shape == (6, config.hidden)
    assert output.penalty.shape == ()
    for task in TASKS:
        net.zero_grad()
        raw = output.heads[task.id]
        assert raw.shape == (6, net.head(task).outputs(task))
        assert torch.isfinite(raw).all()
        torch.autograd.backward(raw.square().sum(), retain_graph=True)
        moved = {n for n, p in net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        assert any(n.startswith("sharing.") for n in moved), task.id


@configs
@pytest.mark.parametrize("missing", [("T",), ("A",), ("V",), ("T", "A"), ("T", "A", "V")])
def test_any_modality_may_be_missing_and_what_stands_in_its_place_is_not_seen(config, missing):
    net, inputs = make(config)
    clean, filled = inputs, inputs
    for modality in missing:
        clean, filled = hide(clean, modality), hide(filled, modality, filler=3.0)
    with torch.no_grad():
        one, other = net(clean), net(filled)
    for task in TASKS:
        assert torch.isfinite(one.heads[task.id]).all()
        assert torch.equal(one.heads[task.id], other.heads[task.id]), task.id
    assert torch.isfinite(one.fused).all()


@configs
def test_padding_changes_nothing(config):
    net, inputs = make(config)
    values = {m: torch.nn.functional.pad(v, (0, 0, 0, 3), value=2.0) for m, v in inputs.values.items()}
    masks = {m: torch.nn.functional.pad(v, (0, 3)) for m, v in inputs.masks.items()}
    with torch.no_grad():
        plain, padded = net(inputs), net(Inputs(values, masks, inputs.video, inputs.position))
    for task in TASKS:
        assert torch.allclose(plain.heads[task.id], padded.heads[task.id], atol=1e-5), task.id


@configs
def test_other_samples_do_not_matter_unless_it_says_so(config):
    net, inputs = make(config)
    alone = Inputs(
        {m: v[:2] for m, v in inputs.values.items()},
        {m: v[:2] for m, v in inputs.masks.items()},
        inputs.video[:2],
        inputs.position[:2],
    )
    with torch.no_grad():
        whole, part = net(inputs), net(alone)
    same = all(torch.allclose(whole.heads[t.id][:2], part.heads[t.id], atol=1e-5) for t in TASKS)
    assert same or net.needs_context


@configs
def test_a_unimodal_task_never_sees_another_modality(config):
    """Except where tasks hear each other's answers, as in a cascade: those sharings say so."""
    net, inputs = make(config)
    if net.sharing.listens:
        return
    other = hide(inputs, "A")
    with torch.no_grad():
        one, two = net(inputs), net(other)
    assert torch.equal(one.heads["sentiment.T"], two.heads["sentiment.T"])
    assert torch.equal(one.heads["sentiment.V"], two.heads["sentiment.V"])
    assert not torch.equal(one.heads["sentiment.M"], two.heads["sentiment.M"])


@configs
def test_members_side_by_side_say_what_each_says_alone(config):
    nets = [make(config, seed=seed)[0] for seed in (1, 2, 3)]
    _, inputs = make(config)
    members = Members(nets)
    members.train(False)
    with torch.no_grad():
        together = members(repeat(inputs, 3))
        for k, net in enumerate(nets):
            alone = net(inputs)
            for task in TASKS:
                assert torch.allclose(together.heads[task.id][k], alone.heads[task.id], atol=1e-4)


def labelled(n: int = 24, seed: int = 0) -> TrainingSet:
    """A corpus with some labels missing."""
    rng = np.random.default_rng(seed)
    ids = [f"{i:04d}" for i in range(n)]
    frames = {
        m: [rng.integers(0, 5, (int(rng.integers(2, 6)), d)).astype(np.float32) + 1 for _ in ids]
        for m, d in DIMS.items()
    }
    labels = {}
    for i, sample_id in enumerate(ids):
        for task in TASKS:
            if rng.random() < 0.8:
                labels[sample_id, task.id] = _label(sample_id, task, i)
    return TrainingSet(
        TASKS, ids[: n - 10], ids[n - 10 :], labels,
        lambda m, wanted: [frames[m][int(i)] for i in wanted], {m: m.word for m in UNIMODAL},
    )  # fmt: skip


def _label(sample_id: str, task: Task, i: int) -> Label:
    answers = task.dimension.answers
    answer = answers[i % len(answers)]
    if task.dimension.kind is Kind.REGRESSION:
        return Label(sample_id, task.id, float(answer.value), {answer.alias: 1.0}, 1)
    return Label(sample_id, task.id, str(answer.value), {answer.alias: 1.0}, 1)


TRAININGS = [
    *NETWORKS,
    *(replace(SMALL, weighting=name) for name in WEIGHTINGS.names()),
    *(replace(SMALL, ensemble=name) for name in ENSEMBLES.names()),
    *(replace(SMALL, **{f"{HEADS.get(name).kind.value}_head": name}) for name in HEADS.names()),
]


@pytest.mark.parametrize("config", TRAININGS, ids=_name)
def test_it_trains_is_repeatable_and_its_predictions_are_in_order(config):
    training_set, short = labelled(), replace(config, epochs=1)
    one, again = (fit_ensemble(training_set, short, seed=3, device="cpu") for _ in range(2))
    for a, b in zip(one.members, again.members, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)
    output = predict(one, training_set.read, training_set.train, origins=training_set.origins)
    predictions = output.predictions
    assert np.isfinite(output.embeddings).all()
    for task in TASKS:
        said = predictions[task.id]
        assert said.members.shape[1:] == (len(training_set.train), len(task.dimension.answers))
        assert np.isfinite(said.members).all() and np.isfinite(said.mean).all()
        assert (said.epistemic >= 0).all() and (said.aleatoric >= 0).all()
        if task.dimension.kind is not Kind.MULTILABEL:
            assert np.allclose(said.members.sum(axis=-1), 1, atol=1e-4)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_a_weighting_leaves_members_apart_and_absent_tasks_alone(name):
    nets = [make(SMALL, seed=seed)[0] for seed in (1, 2)]
    _, inputs = make(SMALL)
    gradients = []
    for scale in (1.0, 3.0):
        made = WEIGHTINGS.get(name)(TASKS, 2, parse_options(WEIGHTINGS, name, {}))
        members = Members(nets)
        output = members(repeat(inputs, 2))
        batch = _targets(inputs, absent="sentiment.A")
        losses, present = task_losses([members.net.head(t) for t in TASKS], output, batch)
        factor = torch.tensor([[1.0], [scale]])
        made.backward(losses * factor, present, output.penalty, list(members.parameters.values()))
        gradients.append({n: p.grad for n, p in members.parameters.items()})
    for parameter, grad in gradients[0].items():
        other = gradients[1][parameter]
        if grad is not None and other is not None:
            assert torch.allclose(grad[0], other[0], atol=1e-6), parameter
    dead = gradients[0]["heads.sentiment-A.layer.weight"]
    assert dead is None or (dead == 0).all()


def _targets(inputs: Inputs, absent: str) -> Batch:
    n = len(inputs.video)
    torch.manual_seed(0)
    heads = [MultiTaskNet(dict.fromkeys(DIMS, 4), TASKS, SMALL).head(t) for t in TASKS]
    targets = {h.task.id: torch.rand(2, n, h.width(h.task)) for h in heads}
    known = {h.task.id: torch.full((2, n), h.task.id != absent) for h in heads}
    return Batch(repeat(inputs, 2), targets, known, {i: k.float() for i, k in known.items()})


@pytest.mark.parametrize("registry", LEARNING, ids=lambda r: r.kind)
def test_options_have_defaults_and_a_wrong_one_names_the_right_ones(registry):
    for name in registry.names():
        options = parse_options(registry, name, {})
        with pytest.raises(ConfigError, match="has no option 'no_such_thing'"):
            parse_options(registry, name, {"no_such_thing": 1})
        for field in fields(options):
            with pytest.raises(ConfigError, match=field.name):
                parse_options(registry, name, {field.name: object()})
        assert registry.descriptions()[name].endswith(".")
