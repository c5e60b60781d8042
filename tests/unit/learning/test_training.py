"""What the network and its training promise: masks are exact, runs repeat, and signal is found."""

import json

import numpy as np
import pytest
import torch

from annotate.errors import ModelError, UsageError
from annotate.learning import checkpoint as checkpoints
from annotate.learning.batches import Batch, Standardiser, make_inputs, read_pooled
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.device import choose_device, repeatable
from annotate.learning.encoders.mean_pool import MeanPool
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.heads._answers import classification, regression, softmax
from annotate.learning.heads.base import Target
from annotate.learning.losses import task_losses
from annotate.learning.model_config import ModelConfig
from annotate.learning.network import MultiTaskNet
from annotate.learning.predict import predict
from annotate.learning.prepared import TrainingSet
from annotate.learning.tensors import Inputs
from annotate.types import UNIMODAL, Label, Modality, Task
from tests.support.dimensions import EMOTION, SENTIMENT, SENTIMENT_TASKS

T, A, V, M = Modality
TASKS = (*SENTIMENT_TASKS, Task(EMOTION, M))
RECIPE = ModelConfig(
    hidden=16, members=3, epochs=60, patience=20, batch_size=16, learning_rate=5e-3, weight_decay=1e-2,
    dropout=0.1,
)  # fmt: skip
DIMS = {T: 4, A: 6, V: 3}
EXTRACTORS = {m: f"made@{m}" for m in UNIMODAL}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class Corpus:
    """Utterances whose text, voice and face each carry a sentiment of their own; together, their mean."""

    def __init__(self, n: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.ids = [f"{i:04d}" for i in range(n)]
        self.truth = {m: rng.uniform(-1, 1, n) for m in UNIMODAL}
        self.truth[M] = np.mean([self.truth[m] for m in UNIMODAL], axis=0)
        ways = {m: np.random.default_rng([7, i]).normal(size=d) for i, (m, d) in enumerate(DIMS.items())}
        self.frames = {
            m: [
                (5 + 3 * self.truth[m][i] * ways[m] + rng.normal(0, 0.5, (rng.integers(1, 6), d)))
                for i in range(n)
            ]
            for m, d in DIMS.items()
        }
        self.labels = {
            (s, task.id): self._label(s, task, i) for i, s in enumerate(self.ids) for task in TASKS
        }

    def _label(self, sample_id, task, i):
        value = float(np.clip(self.truth[task.modality][i], -1, 1))
        if task.dimension is EMOTION:
            value = EMOTION.answers[int(np.digitize(value, [-0.2, 0.2]))].value
        return Label(sample_id, task.id, value, {str(value): 1.0}, 1)

    def read(self, modality, sample_ids):
        return [self.frames[modality][int(s)].astype(np.float32) for s in sample_ids]

    def training_set(self, train, valid=(), tasks=TASKS):
        return TrainingSet(tasks, list(train), list(valid), self.labels, self.read, EXTRACTORS)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(200)


@pytest.fixture(scope="module")
def trained(corpus: Corpus) -> Checkpoint:
    return fit_ensemble(
        corpus.training_set(corpus.ids[:100], corpus.ids[100:140]), RECIPE, seed=1, device="cpu"
    )


# -- bad input ------------------------------------------------------------------------------------


def test_an_unknown_device_is_a_usage_error_that_names_the_known_ones():
    with pytest.raises(UsageError) as error:
        choose_device("gpu")
    assert "cuda" in error.value.hint


@pytest.mark.parametrize("name", ["cuda", "cuda:99"])
def test_cuda_that_is_not_there_is_said_with_the_way_out(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError) as error:
        choose_device(name)
    assert "--device auto" in error.value.hint
    assert choose_device("auto") == "cpu"


@pytest.mark.parametrize("filler", [np.nan, np.inf])
def test_features_that_are_no_numbers_name_the_sample(corpus, filler):
    broken = Corpus(8)
    broken.frames[A][5][0, 2] = filler
    with pytest.raises(ModelError, match="audio features of sample 0005") as error:
        fit_ensemble(broken.training_set(broken.ids), RECIPE, seed=0, device="cpu")
    assert "annotate extract" in error.value.hint


def test_a_loss_that_is_no_number_ends_the_training(corpus):
    wild = Corpus(8)
    wild.labels["0003", "sentiment.T"] = Label("0003", "sentiment.T", float("nan"), {}, 1)
    with pytest.raises(ModelError, match="no longer a number") as error:
        fit_ensemble(wild.training_set(wild.ids), RECIPE, seed=0, device="cpu")
    assert "learning_rate" in error.value.hint


def test_features_of_another_width_ask_for_training(trained, corpus):
    def wider(modality, ids):
        return [np.ones((1, DIMS[modality] + 1), np.float32) for _ in ids]

    with pytest.raises(ModelError, match="another width") as error:
        predict(trained, wider, corpus.ids[:2])
    assert error.value.hint == "run `annotate train`"


@pytest.mark.parametrize("n", [1, 3])
def test_a_handful_of_samples_trains(n):
    few = Corpus(n)
    made = fit_ensemble(few.training_set(few.ids), RECIPE, seed=0, device="cpu")
    predictions = predict(made, few.read, few.ids).predictions
    assert all(np.isfinite(p.members).all() and np.isfinite(p.mean).all() for p in predictions.values())


def test_constant_labels_and_a_single_class_are_learned_as_such():
    dull = Corpus(12)
    for key in list(dull.labels):
        value = "sad" if key[1] == "emotion.M" else 0.5
        dull.labels[key] = Label(*key, value, {str(value): 1.0}, 1)
    made = fit_ensemble(dull.training_set(dull.ids), RECIPE, seed=0, device="cpu")
    predictions = predict(made, dull.read, dull.ids).predictions
    assert np.allclose(predictions["sentiment.T"].mean, 0.5, atol=0.15)
    assert (predictions["emotion.M"].mean == 2).all()


def test_constant_features_say_nothing_and_break_nothing():
    flat = Corpus(12)
    flat.frames = {m: [np.full((2, d), 3.0)] * 12 for m, d in DIMS.items()}
    made = fit_ensemble(flat.training_set(flat.ids), RECIPE, seed=0, device="cpu")
    predictions = predict(made, flat.read, flat.ids).predictions
    assert np.ptp(predictions["sentiment.M"].mean) == 0


def test_a_modality_that_is_missing_everywhere_breaks_nothing():
    mute = Corpus(12)
    mute.frames[T] = [np.zeros((1, DIMS[T]))] * 12
    made = fit_ensemble(mute.training_set(mute.ids), RECIPE, seed=0, device="cpu")
    output = predict(made, mute.read, mute.ids)
    predictions, embeddings = output.predictions, output.embeddings
    assert np.isfinite(embeddings).all()
    assert np.isfinite(predictions["sentiment.T"].mean).all()


# -- masks ----------------------------------------------------------------------------------------


PLAIN = ModelConfig(hidden=8, dropout=0.0)


def _net():
    return MultiTaskNet({m: 2 * d for m, d in DIMS.items()}, TASKS, PLAIN)


def _batch(n, filler, known):
    """`n` samples whose unknown labels are `filler`; `known` is (n,) for all tasks, or by task id."""
    values = {m.value: torch.randn(n, 1, 2 * d) for m, d in DIMS.items()}
    masks = {m.value: torch.ones(n, 1, dtype=torch.bool) for m in DIMS}
    number, shares = torch.rand(n, 1), torch.softmax(torch.randn(n, 3), dim=1)
    said = known if isinstance(known, dict) else {t.id: known for t in TASKS}
    targets = {
        t.id: torch.where(said[t.id][:, None], number if t.dimension is SENTIMENT else shares, filler)
        for t in TASKS
    }
    order = torch.arange(n)
    return Batch(
        Inputs(values, masks, order, order * 0), targets, said, {i: k.float() for i, k in said.items()}
    )


def _losses(net, batch):
    return task_losses([net.head(t) for t in TASKS], net(batch.inputs), batch)[0]


def _gradients(filler: float, known: torch.Tensor) -> list[torch.Tensor]:
    with repeatable(3, "cpu"):
        net, batch = _net(), _batch(5, filler, known)
        _losses(net, batch).mean().backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in net.parameters()]


@pytest.mark.parametrize("filler", [float("nan"), float("inf"), 1e9, -1e9])
def test_a_missing_label_changes_no_gradient_whatever_filler_stands_there(filler):
    known = torch.tensor([True, False, True, False, False])
    for expected, found in zip(_gradients(0.0, known), _gradients(filler, known), strict=True):
        assert torch.equal(expected, found)


def test_without_any_label_there_is_no_gradient_at_all():
    assert all((g == 0).all() for g in _gradients(float("nan"), torch.zeros(5, dtype=torch.bool)))


def test_a_head_without_labels_in_the_batch_gets_exactly_zero_gradient():
    known = {t.id: torch.full((4,), t.id == "sentiment.T") for t in TASKS}
    net, batch = _net(), _batch(4, float("nan"), known)
    _losses(net, batch).mean().backward()
    moved = {name for name, p in net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert not any("-A" in n or "-V" in n or "-M" in n or "fusion" in n for n in moved)
    assert "heads.sentiment-T.layer.weight" in moved
    assert not any("encoders.A" in n or "encoders.V" in n for n in moved)


def test_a_unimodal_head_never_sees_another_modality(trained, corpus):
    other = Corpus(200, seed=9)

    def mixed(modality, ids):
        return (corpus if modality is A else other).read(modality, ids)

    plain = predict(trained, corpus.read, corpus.ids[:20]).predictions
    swapped = predict(trained, mixed, corpus.ids[:20]).predictions
    assert np.array_equal(plain["sentiment.A"].members, swapped["sentiment.A"].members)
    assert not np.array_equal(plain["sentiment.M"].members, swapped["sentiment.M"].members)


def test_padding_rows_change_nothing():
    standardiser = Standardiser.fit([np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)])
    rows = np.ones((1, 4), np.float32)
    alone = make_inputs({T: [rows]}, {T: standardiser})
    beside = make_inputs({T: [rows, np.ones((5, 4), np.float32)]}, {T: standardiser})
    net = MultiTaskNet({T: 4}, [Task(SENTIMENT, T)], PLAIN).eval()
    first = net(alone).heads["sentiment.T"][0]
    assert torch.allclose(first, net(beside).heads["sentiment.T"][0], atol=1e-6)


# -- features -------------------------------------------------------------------------------------


def test_a_single_row_of_zeros_is_a_missing_modality():
    assert MeanPool.pool_frames(np.zeros((1, 3), np.float32)).shape == (0, 6)
    assert MeanPool.pool_frames(np.zeros((2, 3), np.float32)).shape == (1, 6)


def test_the_standardiser_knows_the_train_rows_only(corpus):
    pooled = read_pooled(corpus.read, {A: MeanPool.pool_frames}, corpus.ids[:50])
    standardiser = Standardiser.fit(pooled[A])
    applied = standardiser.apply(np.concatenate(pooled[A]))
    assert np.allclose(applied.mean(axis=0), 0, atol=1e-4)
    made = fit_ensemble(corpus.training_set(corpus.ids[:50], corpus.ids[50:90]), RECIPE, seed=0, device="cpu")
    assert np.array_equal(made.standardisers[A].mean, standardiser.mean)


def test_targets_are_centred_on_the_train_labels():
    task = TASKS[0]
    made = Target.fit(task, [Label("a", task.id, -1.0, {}, 1), Label("b", task.id, 1.0, {}, 1)])
    assert made == Target(0.0, 1.0)
    assert Target.fit(task, [Label("a", task.id, 0.4, {}, 1)]) == Target(0.4, 1.0)


# -- training -------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(corpus):
    training_set = corpus.training_set(corpus.ids[:40], corpus.ids[40:60])
    short = ModelConfig(16, 2, 5, 5, 16, 1e-3, 1e-2, 0.3)
    first, again, other = (
        fit_ensemble(training_set, short, seed=s, device="cpu") for s in (4, 4, 5)
    )  # fmt: skip
    for a, b, c in zip(first.members, again.members, other.members, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert not torch.equal(
            a["sharing.tower.shared.layers.0.weight"], c["sharing.tower.shared.layers.0.weight"]
        )
    assert not torch.equal(
        first.members[0]["sharing.tower.shared.layers.0.weight"],
        first.members[1]["sharing.tower.shared.layers.0.weight"],
    )


def test_training_leaves_the_random_state_of_the_caller_alone(corpus):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    fit_ensemble(
        corpus.training_set(corpus.ids[:8]), ModelConfig(8, 1, 2, 2, 8, 1e-3, 0, 0.3), seed=1, device="cpu"
    )
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_every_task_is_learned_better_than_the_constant(trained, corpus):
    held_out = corpus.ids[140:]
    output = predict(trained, corpus.read, held_out)
    predictions, embeddings = output.predictions, output.embeddings
    rows = [int(s) for s in held_out]
    for modality in Modality:
        truth = corpus.truth[modality][rows]
        error = np.abs(predictions[f"sentiment.{modality}"].mean - truth).mean()
        assert error < 0.5 * np.abs(truth - np.median(truth)).mean()
    truth = np.digitize(corpus.truth[M][rows], [-0.2, 0.2])
    share = max(np.bincount(truth)) / len(truth)
    assert (predictions["emotion.M"].mean == truth).mean() > share + 0.15
    assert embeddings.shape == (60, RECIPE.hidden)


def test_training_stops_early_and_keeps_the_best_epoch(corpus):
    config = ModelConfig(16, 2, 400, 5, 16, 1e-2, 0.0, 0.0)
    made = fit_ensemble(
        corpus.training_set(corpus.ids[:30], corpus.ids[100:140]), config, seed=0, device="cpu"
    )
    assert all(f.epochs == f.best_epoch + 5 < 400 for f in made.fitted)


@pytest.mark.parametrize("valid", [0, 9])
def test_with_too_few_valid_labels_to_watch_the_number_of_epochs_is_fixed(corpus, valid):
    training_set = corpus.training_set(corpus.ids[:20], corpus.ids[20 : 20 + valid])
    made = fit_ensemble(training_set, RECIPE, seed=0, device="cpu")
    assert [f.epochs for f in made.fitted] == [30] * RECIPE.members
    assert all(f.valid_loss is None for f in made.fitted)


def test_missing_labels_leave_the_other_tasks_learnable(corpus):
    sparse = Corpus(200)
    keep = np.random.default_rng(0).random(len(sparse.labels)) < 0.4
    sparse.labels = {key: sparse.labels[key] for key, kept in zip(sparse.labels, keep, strict=True) if kept}
    ids = sorted({s for s, _ in sparse.labels})
    made = fit_ensemble(sparse.training_set(ids[:130], ids[130:150]), RECIPE, seed=0, device="cpu")
    predictions = predict(made, sparse.read, sparse.ids).predictions
    for modality in Modality:
        assert np.corrcoef(predictions[f"sentiment.{modality}"].mean, sparse.truth[modality])[0, 1] > 0.6


# -- predictions ----------------------------------------------------------------------------------


def test_probabilities_sum_to_one_and_order_and_chunks_do_not_matter(trained, corpus, monkeypatch):
    output = predict(trained, corpus.read, corpus.ids[:50])
    whole, embeddings = output.predictions, output.embeddings
    monkeypatch.setattr("annotate.learning.predict.CHUNK", 7)
    pieces = predict(trained, corpus.read, corpus.ids[:50][::-1]).predictions
    for task in TASKS:
        assert whole[task.id].members.shape == (3, 50, 3)
        assert np.allclose(whole[task.id].members.sum(axis=-1), 1, atol=1e-5)
        assert np.allclose(whole[task.id].members, pieces[task.id].members[:, ::-1], atol=1e-5)
    assert embeddings.dtype == np.float32


def test_no_samples_give_empty_predictions(trained, corpus):
    output = predict(trained, corpus.read, [])
    predictions, embeddings = output.predictions, output.embeddings
    assert predictions["sentiment.T"].members.shape == (3, 0, 3)
    assert embeddings.shape == (0, RECIPE.hidden)


def test_the_normal_is_integrated_between_half_way_borders():
    made = regression(TASKS[0], np.array([[0.0], [0.5]]), noise=0.5)
    # P(x < -0.5), P(-0.5 < x < 0.5), P(x > 0.5) of N(0, 0.5) and N(0.5, 0.5)
    assert np.allclose(made.members[0, 0], [0.158655, 0.682689, 0.158655], atol=1e-5)
    assert np.allclose(made.members[1, 0], [0.022750, 0.477250, 0.5], atol=1e-5)
    assert made.mean[0] == pytest.approx(0.25)
    assert made.epistemic[0] == pytest.approx(0.25)
    assert made.aleatoric[0] == pytest.approx(0.5)


def test_members_that_agree_leave_no_mutual_information():
    sure = np.log([[[0.98, 0.01, 0.01]], [[0.01, 0.98, 0.01]]])
    torn = np.log(np.full((2, 1, 3), 1 / 3))
    assert classification(TASKS[-1], softmax(torn)).epistemic[0] == pytest.approx(0, abs=1e-6)
    assert classification(TASKS[-1], softmax(torn)).aleatoric[0] == pytest.approx(np.log(3), abs=1e-6)
    assert classification(TASKS[-1], softmax(sure)).epistemic[0] > 0.5


# -- checkpoints ----------------------------------------------------------------------------------


def test_a_checkpoint_read_again_predicts_the_same(trained, corpus, tmp_path):
    checkpoints.write(trained, tmp_path / "0001")
    assert [p.name for p in tmp_path.iterdir()] == ["0001"]
    again = checkpoints.read(tmp_path / "0001")
    assert (again.tasks, again.config, again.fitted) == (trained.tasks, trained.config, trained.fitted)
    one, other = (predict(c, corpus.read, corpus.ids[:9]) for c in (trained, again))
    assert np.array_equal(one.embeddings, other.embeddings)
    assert all(np.array_equal(one.predictions[t.id].members, other.predictions[t.id].members) for t in TASKS)


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "model.json").unlink(),
        lambda f: (f / "model.safetensors").unlink(),
        lambda f: (f / "model.json").write_text("{"),
        lambda f: (f / "model.json").write_text("[]"),
        lambda f: (f / "model.json").write_text("{}"),
        lambda f: (f / "model.safetensors").write_bytes(b""),
        lambda f: _flip(f / "model.safetensors"),
    ],
)
def test_a_damaged_checkpoint_says_how_to_make_a_new_one(trained, tmp_path, damage):
    checkpoints.write(trained, tmp_path / "0001")
    damage(tmp_path / "0001")
    with pytest.raises(ModelError, match="cannot be read") as error:
        checkpoints.read(tmp_path / "0001")
    assert error.value.hint == "run `annotate train --force`"


def test_a_checkpoint_of_another_format_is_refused(trained, tmp_path):
    checkpoints.write(trained, tmp_path / "0001")
    path = tmp_path / "0001" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(ModelError, match="format 99"):
        checkpoints.read(tmp_path / "0001")


def test_features_of_another_extractor_ask_for_training(trained):
    checkpoints.require_features(trained, EXTRACTORS)
    with pytest.raises(ModelError, match="audio") as error:
        checkpoints.require_features(trained, {**EXTRACTORS, A: "other@1"})
    assert error.value.hint == "run `annotate train`"
