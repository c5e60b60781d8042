"""What strategies that read the representations of the heads prefer, against sums over every answer."""

from dataclasses import replace

import numpy as np
import pytest

from annotate.batch.opening import make_strategy
from annotate.errors import ModelError
from annotate.types import LabeledSet, Modality, Task
from tests.support.dimensions import SENTIMENT, THEMES
from tests.support.pools import EMOTION, make_pool, predict

MEMBERS = 3


def alone(dimension, n=12, modality=Modality.MULTIMODAL):
    pool = make_pool(n, dimensions=(dimension,), labelled=20)
    task_id = Task(dimension, modality).id
    return task_id, pool.predictions[task_id], pool


# Expected gradient length


def test_the_expected_gradient_of_classes_is_that_of_each_answer_in_turn():
    task_id, prediction, pool = alone(EMOTION)
    representation = pool.representations[task_id].astype(float)
    probs = prediction.probs.astype(float)
    expected = np.zeros(len(representation))
    for answer, said in enumerate(np.eye(4)):
        gradients = np.einsum("nc,nd->ncd", probs - said, representation)
        expected += probs[:, answer] * np.linalg.norm(gradients, axis=(1, 2))
    scores = make_strategy("expected-gradient-length").score(prediction, pool)
    assert scores == pytest.approx(expected, rel=1e-5)


def test_the_expected_gradient_of_a_scale_is_the_spread_of_the_answer_times_the_code():
    task_id, prediction, pool = alone(SENTIMENT)
    spread = np.sqrt(prediction.epistemic.astype(float) ** 2 + prediction.aleatoric.astype(float) ** 2)
    expected = spread * np.linalg.norm(pool.representations[task_id], axis=1)
    scores = make_strategy("expected-gradient-length").score(prediction, pool)
    assert scores == pytest.approx(expected, rel=1e-5)


def test_the_expected_gradient_of_several_answers_is_that_of_all_sets_squared():
    task_id, prediction, pool = alone(THEMES)
    probs = prediction.probs.astype(float)
    squared = np.zeros(len(probs))
    for said in np.ndindex(2, 2, 2):
        chance = np.where(said, probs, 1 - probs).prod(axis=1)
        squared += chance * ((probs - said) ** 2).sum(axis=1)
    expected = np.sqrt(squared) * np.linalg.norm(pool.representations[task_id], axis=1)
    scores = make_strategy("expected-gradient-length").score(prediction, pool)
    assert scores == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["expected-gradient-length", "mmal"])
def test_a_model_without_codes_is_to_be_trained_anew(name):
    _, prediction, pool = alone(EMOTION)
    with pytest.raises(ModelError, match="emotion") as caught:
        make_strategy(name).score(prediction, replace(pool, representations={}))
    assert "annotate train" in caught.value.hint


# Modality conflict


def test_conflict_is_the_spread_of_the_heads_as_a_share_of_the_scale():
    _, prediction, pool = alone(SENTIMENT)
    heads = np.stack([p.mean for p in pool.predictions.values()]).astype(float)
    scores = make_strategy("modality-conflict").score(prediction, pool)
    assert scores == pytest.approx(heads.std(axis=0) / 2, rel=1e-5)


def test_heads_that_are_sure_of_different_classes_conflict_most():
    pool = make_pool(3, dimensions=(EMOTION,), labelled=0)
    sure, other, open_ = np.eye(4)[0], np.eye(4)[1], np.full(4, 0.25)
    said = {
        "T": [sure, sure, open_],
        "A": [other, sure, open_],
        "V": [sure, sure, open_],
        "M": [other, sure, sure],
    }
    predictions = {
        f"emotion.{m}": replace(pool.predictions[f"emotion.{m}"], members=np.array([rows] * 3, np.float32))
        for m, rows in said.items()
    }
    pool = replace(pool, predictions=predictions)
    scores = make_strategy("modality-conflict").score(predictions["emotion.T"], pool)
    # Four heads, two against two: the root of twice a quarter. One of four against three that know nothing.
    assert scores == pytest.approx([np.sqrt(0.5), 0, np.sqrt(3 / 16 * (0.75**2 + 3 * 0.25**2))], abs=1e-6)


def test_a_scale_and_classes_of_one_name_are_not_held_against_each_other():
    feelings = replace(EMOTION, name="sentiment")
    _, prediction, pool = alone(SENTIMENT)
    said = {f"{t}.classes": p for t, p in make_pool(len(pool), dimensions=(feelings,)).predictions.items()}
    both = replace(pool, predictions={**pool.predictions, **said})
    strategy = make_strategy("modality-conflict")
    assert strategy.score(prediction, both).tolist() == strategy.score(prediction, pool).tolist()


def test_a_project_of_one_modality_has_no_conflict_and_is_told_so():
    pool = make_pool(5, dimensions=(EMOTION,))
    pool = replace(pool, predictions={"emotion.T": pool.predictions["emotion.T"]})
    with pytest.raises(ModelError, match="compares modalities") as caught:
        make_strategy("modality-conflict").select(pool, 2, np.random.default_rng(0))
    assert "--strategy" in caught.value.hint


# MMAL


def mmal_by_hand(pool, dimension, modalities, fused):
    """Sample by sample, from the definition in the book."""
    prediction = pool.predictions[fused.id]
    labels = pool.known.labels[fused.id]
    found = []
    for i, probs in enumerate(prediction.probs.astype(float)):
        likely = int(probs.argmax())
        classes = labels if dimension is EMOTION else np.abs(labels[:, None] - [-1, 0, 1]).argmin(1)
        own = np.isfinite(labels) & (classes == likely)
        ordered = np.sort(probs)
        total, weights = 0.5 * (ordered[-1] - ordered[-2]), 0.5
        for modality in modalities:
            task_id = Task(dimension, modality).id
            weight = 0.2 if modality is fused.modality else 0.1
            weights += weight
            if own.any():
                centre = pool.known.representations[task_id][own].mean(axis=0)
                total += weight * np.corrcoef(pool.representations[task_id][i], centre)[0, 1]
        found.append(-total / weights)
    return found


@pytest.mark.parametrize("dimension", [EMOTION, SENTIMENT])
@pytest.mark.parametrize("modalities", ["TAVM", "TM", "A", "M"])
def test_mmal_is_the_books_sum_over_the_heads_that_there_are(dimension, modalities):
    pool = make_pool(25, dimensions=(dimension,), labelled=9)
    present = [Modality(m) for m in modalities]
    ids = [Task(dimension, m).id for m in present]
    pool = replace(pool, predictions={t: pool.predictions[t] for t in ids})
    fused = Task(dimension, Modality.MULTIMODAL if "M" in modalities else present[0])
    scores = make_strategy("mmal").score(pool.predictions[ids[0]], pool)
    assert scores == pytest.approx(mmal_by_hand(pool, dimension, present, fused), abs=1e-5)


def test_mmal_asks_what_looks_like_another_class_before_what_looks_like_its_own():
    task = Task(EMOTION, Modality.MULTIMODAL)
    prediction = predict(task, 2, np.random.default_rng(0))
    members = np.array([[[0.7, 0.3, 0, 0]] * 2] * 3, np.float32)
    prediction = replace(prediction, members=members)
    centres = np.array([[1, 0, 0, -1], [-1, 0, 0, 1]], np.float32)
    pool = replace(
        make_pool(2, dimensions=(EMOTION,)),
        predictions={task.id: prediction},
        missing={task.id: np.ones(2, bool)},
        representations={task.id: centres},
        known=LabeledSet(
            np.zeros((2, 6), np.float32), {task.id: centres}, {}, {task.id: np.array([0.0, 1.0])}
        ),
    )
    assert make_strategy("mmal").select(pool, 2, np.random.default_rng(0)).indices.tolist() == [1, 0]


# Learning loss


def planted(dimension, n=300, seed=0):
    """The model is the more wrong the larger the first number of the representation; nothing else says so."""
    rng = np.random.default_rng(seed)
    task = Task(dimension, Modality.TEXT)
    representations = rng.normal(size=(2 * n, 6)).astype(np.float32)
    hard = representations[:, 0] > 0.5
    flat = np.ones(2 * n, np.float32)
    said = predict(task, 2 * n, rng)
    if dimension is SENTIMENT:
        members, mean = said.members, np.zeros(2 * n, np.float32)
        labels = np.where(hard, 0.9, rng.normal(0, 0.1, 2 * n))
    elif dimension is THEMES:
        members, mean = np.full((3, 2 * n, 3), 0.8, np.float32), flat
        labels = np.repeat(np.where(hard, 0.0, 1.0)[:, None], 3, axis=1)
    else:
        members, mean = np.tile(np.float32([0.7, 0.1, 0.1, 0.1]), (3, 2 * n, 1)), 0 * flat
        labels = np.where(hard, 1.0, 0.0)
    said = replace(said, members=members, mean=mean, epistemic=flat, aleatoric=flat)
    known = LabeledSet(
        representations[n:],
        {task.id: representations[n:]},
        {task.id: said.of(np.arange(n, 2 * n))},
        {task.id: labels[n:]},
    )
    pool = replace(
        make_pool(n, dimensions=(), labelled=0), predictions={task.id: said.of(np.arange(n))},
        missing={task.id: np.ones(n, bool)}, representations={task.id: representations[:n]}, known=known,
    )  # fmt: skip
    return pool, hard[:n]


@pytest.mark.parametrize("dimension", [EMOTION, SENTIMENT, THEMES])
def test_the_module_learns_where_the_model_is_wrong_although_it_is_as_sure_everywhere(dimension):
    pool, hard = planted(dimension)
    chosen = make_strategy("learning-loss").select(pool, 60, np.random.default_rng(0)).indices
    assert hard[chosen].mean() > 0.9 > 2 * hard.mean()


def test_the_module_is_the_same_for_the_same_seed():
    pool, _ = planted(EMOTION)
    first, again, other = (
        make_strategy("learning-loss").select(pool, 60, np.random.default_rng(s)).scores.tolist()
        for s in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("dimension", [EMOTION, SENTIMENT, THEMES])
def test_with_a_handful_of_labels_the_loss_that_the_model_expects_counts(dimension):
    _, prediction, pool = alone(dimension)
    few = replace(pool, known=LabeledSet(pool.known.embeddings, pool.known.representations))
    scores = make_strategy("learning-loss").score(prediction, few)
    if dimension is SENTIMENT:
        expected = prediction.epistemic.astype(float) ** 2 + prediction.aleatoric.astype(float) ** 2
    else:
        expected = make_strategy("entropy").score(prediction, few)
    assert scores == pytest.approx(expected)


def test_where_all_losses_are_equal_the_expected_one_counts_and_not_chance():
    pool, _ = planted(EMOTION)
    (task_id,) = pool.predictions
    sure = np.eye(4, dtype=np.float32)[pool.known.labels[task_id].astype(int)]
    known = pool.known.predictions[task_id]
    right = replace(known, members=np.stack([sure] * len(known.members)))
    pool = replace(pool, known=replace(pool.known, predictions={task_id: right}))
    strategy = make_strategy("learning-loss")
    expected = make_strategy("entropy").score(pool.predictions[task_id], pool)
    assert strategy.score(pool.predictions[task_id], pool) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["badge", "bait"])
def test_gradients_without_codes_are_to_be_trained_anew(name):
    pool = make_pool(dimensions=(EMOTION,))
    with pytest.raises(ModelError, match="has no representations of the samples") as caught:
        make_strategy(name).select(replace(pool, representations={}), 5, np.random.default_rng(0))
    assert "annotate train" in caught.value.hint
