"""Information about several answers at once, against joint distributions written out in full."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.batch.opening import make_strategy
from annotate.types import LabeledSet, Modality, Task
from tests.support.dimensions import SENTIMENT, THEMES
from tests.support.pools import EMOTION, make_pool, predict


def said(dimension, n, seed=0, members=4, modality=Modality.TEXT):
    return predict(Task(dimension, modality), n, np.random.default_rng(seed), members)


def pool_with(*predictions, missing=None):
    n = predictions[0].members.shape[1]
    pool = make_pool(n, dimensions=(), labelled=0)
    masks = {p.task.id: np.ones(n, bool) for p in predictions} | (missing or {})
    return replace(pool, predictions={p.task.id: p for p in predictions}, missing=masks)


def plogp(joint):
    return -(joint * np.log(np.maximum(joint, 1e-300))).sum()


def mutual(first, second, shares):
    """Between two answers, (members, answers) each."""
    joint = np.einsum("k,ka,kb->ab", shares, first, second)
    return plogp(joint.sum(1)) + plogp(joint.sum(0)) - plogp(joint)


# EPIG


@given(n=st.integers(1, 12), members=st.integers(2, 5), seed=st.integers(0, 1000), weighed=st.booleans())
def test_epig_is_the_mean_information_about_each_target(n, members, seed, weighed):
    prediction = said(EMOTION, n, seed, members)
    shares = np.random.default_rng(seed).dirichlet(np.ones(members)) if weighed else None
    prediction = replace(prediction, shares=shares)
    scores = make_strategy("epig").score(prediction, pool_with(prediction))
    each = prediction.members.astype(float)
    shares = np.full(members, 1 / members) if shares is None else shares
    expected = [np.mean([mutual(each[:, i], each[:, j], shares) for j in range(n)]) for i in range(n)]
    assert scores == pytest.approx(expected, abs=1e-5)


def test_epig_of_answers_that_may_be_true_together_adds_up_each_answer():
    prediction = said(THEMES, 6)
    scores = make_strategy("epig").score(prediction, pool_with(prediction))
    each = np.stack([prediction.members, 1 - prediction.members], axis=-1).astype(float)
    told = [
        [[mutual(each[:, i, a], each[:, j, a], np.full(4, 0.25)) for j in range(6)] for i in range(6)]
        for a in range(3)
    ]
    assert scores == pytest.approx(np.mean(told, axis=2).sum(axis=0), abs=1e-5)


def test_epig_on_a_scale_is_that_of_two_normals_of_the_same_covariance():
    prediction = said(SENTIMENT, 7, members=40)
    values = prediction.members.astype(float) @ np.array([-1.0, 0.0, 1.0])
    prediction = replace(prediction, epistemic=values.std(axis=0).astype(np.float32))
    scores = make_strategy("epig").score(prediction, pool_with(prediction))
    covariance = np.cov(values.T, bias=True)
    noise = np.maximum(prediction.aleatoric.astype(float), 2e-3)
    total = covariance + np.diag(noise**2)
    for i in range(7):
        others = [j for j in range(7) if j != i]
        told = [-0.5 * np.log(1 - covariance[i, j] ** 2 / (total[i, i] * total[j, j])) for j in [*others, i]]
        assert scores[i] == pytest.approx(np.mean(told), abs=1e-6)


def test_epig_leaves_what_the_members_disagree_about_if_nothing_else_depends_on_it():
    # The first has most information about the model, but only about itself; the second tells of eight more.
    private, shared = [[1, 0], [0, 1], [1, 0], [0, 1]], [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]
    answers = replace(EMOTION, answers=EMOTION.answers[:2])
    members = np.array([private] + [shared] * 9, np.float32).transpose(1, 0, 2)
    prediction = replace(said(answers, 10), members=members)
    pool = pool_with(prediction)
    rng = np.random.default_rng(0)
    assert make_strategy("bald").select(pool, 1, rng).indices.tolist() == [0]
    assert make_strategy("epig").select(pool, 9, rng).indices.tolist().count(0) == 0


def test_epig_draws_its_targets_from_the_labelled_too():
    prediction = said(EMOTION, 4)
    known = said(EMOTION, 300, seed=1)
    pool = replace(
        pool_with(prediction), known=LabeledSet(np.zeros((300, 6), np.float32), {}, {known.task.id: known})
    )
    made = make_strategy("epig", {"epig": {"targets": 50}})
    scores = {tuple(made.pool_scores(pool, np.random.default_rng(s)).round(7)) for s in (1, 2, 1)}
    assert len(scores) == 2


def test_epig_in_pieces_is_epig_in_one(monkeypatch):
    prediction = said(EMOTION, 40)
    whole = make_strategy("epig").score(prediction, pool_with(prediction))
    monkeypatch.setattr("strategies.epig.JOINT", 1)
    assert make_strategy("epig").score(prediction, pool_with(prediction)) == pytest.approx(whole, abs=1e-6)


# BatchBALD


def told_by(predictions, rows):
    """Nats that all answers to these samples tell about the member, every course of them counted."""
    each = [p.members[:, i].astype(float) for p in predictions for i in rows]
    joint = np.zeros(0)
    for course in product(*(range(e.shape[1]) for e in each)):
        joint = np.append(
            joint, np.mean(np.prod([e[:, a] for e, a in zip(each, course, strict=True)], axis=0))
        )
    doubt = sum(np.mean([plogp(row) for row in e]) for e in each)
    return plogp(joint) - doubt


@given(seed=st.integers(0, 1000), members=st.integers(2, 6))
def test_batch_bald_is_greedy_on_the_joint_information_exactly(seed, members):
    prediction = said(EMOTION, 8, seed, members)
    chosen = make_strategy("batch-bald").select(pool_with(prediction), 4, np.random.default_rng(seed))
    rows = chosen.indices.tolist()
    for turn in range(4):
        told = {i: told_by([prediction], [*rows[:turn], i]) for i in range(8) if i not in rows[:turn]}
        assert told[rows[turn]] == pytest.approx(max(told.values()), abs=1e-5)
    assert chosen.scores.sum() == pytest.approx(told_by([prediction], rows), abs=1e-4)


def test_batch_bald_over_drawn_answers_comes_near_the_exact_information():
    prediction = said(EMOTION, 30, 3, members=12)
    made = make_strategy("batch-bald", {"batch-bald": {"draws": 900}})
    chosen = made.select(pool_with(prediction), 6, np.random.default_rng(0))
    assert chosen.scores.sum() == pytest.approx(told_by([prediction], chosen.indices.tolist()), abs=0.05)


def test_batch_bald_of_several_tasks_counts_what_they_tell_together():
    first = said(EMOTION, 6, 1, members=5)
    second = said(SENTIMENT, 6, 2, members=5, modality=Modality.AUDIO)
    made = make_strategy("batch-bald", {"batch-bald": {"draws": 40_000}})
    chosen = made.select(pool_with(first, second), 3, np.random.default_rng(0))
    assert chosen.scores.sum() == pytest.approx(told_by([first, second], chosen.indices.tolist()), abs=0.01)
    best = max(range(6), key=lambda i: told_by([first, second], [i]))
    assert told_by([first, second], chosen.indices[:1].tolist()) == pytest.approx(
        told_by([first, second], [best]), abs=0.01
    )


def test_batch_bald_does_not_ask_the_same_thing_twice():
    # Members one and two against three and four, twice as sure; then one and three against two and four.
    twin, other = [[0.95, 0.05], [0.95, 0.05], [0.05, 0.95], [0.05, 0.95]], [[0.9, 0.1], [0.1, 0.9]] * 2
    answers = replace(EMOTION, answers=EMOTION.answers[:2])
    members = np.array([twin, twin, twin, other], np.float32).transpose(1, 0, 2)
    pool = pool_with(replace(said(answers, 4), members=members))
    rng = np.random.default_rng(0)
    assert 3 not in make_strategy("bald").select(pool, 2, rng).indices
    assert make_strategy("batch-bald").select(pool, 2, rng).indices[1] == 3


def test_batch_bald_passes_over_questions_that_have_their_label():
    prediction, labelled = said(EMOTION, 5, 1), said(SENTIMENT, 5, 2)
    alone = make_strategy("batch-bald").select(pool_with(prediction), 2, np.random.default_rng(0))
    missing = {labelled.task.id: np.array([False] * 4 + [True])}
    pool = pool_with(prediction, labelled, missing=missing)
    made = make_strategy("batch-bald", {"batch-bald": {"draws": 10_000}})
    joint = made.select(pool.of(np.arange(4)), 2, np.random.default_rng(0))
    assert joint.scores.sum() == pytest.approx(told_by([prediction], joint.indices.tolist()), abs=0.02)
    assert alone.scores[0] > 0


def test_when_the_members_agree_on_everything_the_rest_follows_in_the_order_of_bald():
    prediction = said(EMOTION, 40, 1, members=2)
    pool = pool_with(prediction)
    chosen = make_strategy("batch-bald").select(pool, 40, np.random.default_rng(0))
    bald = make_strategy("bald").score(prediction, pool)
    filled = chosen.indices[chosen.scores == 0]
    assert 0 < len(filled) < 40
    assert chosen.scores.sum() <= np.log(2) + 1e-5
    assert (np.diff(bald[filled]) <= 0).all()
