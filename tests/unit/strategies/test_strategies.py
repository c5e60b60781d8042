"""What each query strategy prefers, against brute force and figures worked out by hand."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.errors import ModelError
from annotate.registry import STRATEGIES
from annotate.types import Answer, Dimension, Kind, LabeledSet, Modality, Pool, Task, TaskPrediction
from strategies._several import ranks
from tests.support.dimensions import EMOTION, SENTIMENT, THEMES


def _bernoulli(p: float) -> float:
    return float(-p * np.log(p) - (1 - p) * np.log(1 - p))


def prediction(
    dimension: Dimension, members: list[list[list[float]]], epistemic: list[float] | None = None,
    aleatoric: list[float] | None = None, modality: Modality = Modality.MULTIMODAL,
) -> TaskPrediction:  # fmt: skip
    probs = np.array(members, dtype=np.float32)
    zeros = np.zeros(probs.shape[1], dtype=np.float32)
    return TaskPrediction(
        Task(dimension, modality), probs, zeros,
        zeros if epistemic is None else np.array(epistemic, dtype=np.float32),
        zeros if aleatoric is None else np.array(aleatoric, dtype=np.float32),
    )  # fmt: skip


def pool_of(*predictions: TaskPrediction, missing: dict[str, list[bool]] | None = None) -> Pool:
    n = predictions[0].members.shape[1]
    masks = {p.task.id: np.ones(n, dtype=bool) for p in predictions}
    masks |= {task_id: np.array(mask) for task_id, mask in (missing or {}).items()}
    flat = np.zeros((n, 2), dtype=np.float32)
    ids = np.array([f"{i:016x}" for i in range(n)])
    return Pool(ids, {p.task.id: p for p in predictions}, masks, flat, LabeledSet(flat[:0]))


def points_of(points: np.ndarray, labelled: np.ndarray | None = None) -> Pool:
    points = np.asarray(points, dtype=np.float32)
    labelled = points[:0] if labelled is None else np.asarray(labelled, dtype=np.float32)
    return Pool(np.array([f"{i:016x}" for i in range(len(points))]), {}, {}, points, LabeledSet(labelled))


def order(name: str, pool: Pool, k: int = 99, seed: int = 0) -> list[int]:
    return STRATEGIES.get(name)().select(pool, k, np.random.default_rng(seed)).indices.tolist()


# Likeliest answer, gap and entropy disagree about these three.
CERTAIN, TWO_WAY, FLAT = [0.9, 0.05, 0.05], [0.5, 0.48, 0.02], [0.45, 0.3, 0.25]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("entropy", [2, 1, 0]), ("least-confidence", [2, 1, 0]), ("margin", [1, 2, 0])],
)
def test_uncertainty_is_measured_in_three_ways(name: str, expected: list[int]) -> None:
    assert order(name, pool_of(prediction(EMOTION, [[CERTAIN, TWO_WAY, FLAT]]))) == expected


def test_uncertainty_is_that_of_the_mean_of_the_ensemble() -> None:
    torn = [[[1.0, 0.0, 0.0], [0.6, 0.4, 0.0]], [[0.0, 1.0, 0.0], [0.6, 0.4, 0.0]]]
    assert order("entropy", pool_of(prediction(EMOTION, torn))) == [0, 1]


def test_bald_prefers_members_that_contradict_each_other_to_members_that_all_doubt() -> None:
    doubt = [0.5, 0.5, 0.0]
    pool = pool_of(prediction(EMOTION, [[doubt, [1.0, 0.0, 0.0]], [doubt, [0.0, 1.0, 0.0]]]))
    selection = STRATEGIES.get("bald")().select(pool, 2, np.random.default_rng(0))
    assert selection.indices.tolist() == [1, 0]
    assert selection.scores == pytest.approx([np.log(2), 0], abs=1e-6)


def test_bald_of_a_regression_is_the_information_in_nats_and_adds_up_over_tasks() -> None:
    flat = [[[1 / 3] * 3] * 2]
    pool = pool_of(
        prediction(SENTIMENT, flat, [0.5, 0.0], [0.5, 0.5], Modality.TEXT),
        prediction(SENTIMENT, flat, [1.0, 0.0], [0.5, 0.5], Modality.AUDIO),
    )
    selection = STRATEGIES.get("bald")().select(pool, 2, np.random.default_rng(0))
    assert selection.scores == pytest.approx([0.5 * np.log(2) + 0.5 * np.log(5), 0])


def test_a_collapsed_noise_head_does_not_give_infinite_information() -> None:
    pool = pool_of(prediction(SENTIMENT, [[[1 / 3] * 3] * 2], [0.1, 0.2], [0.0, 0.0]))
    assert np.isfinite(STRATEGIES.get("bald")().select(pool, 2, np.random.default_rng(0)).scores).all()


# One answer is a coin toss; all are a bit open; one is, and the others are certain not to be.
TORN, OPEN, SURE = [0.5, 0.99, 0.01], [0.25, 0.75, 0.3], [0.0, 1.0, 0.01]


@pytest.mark.parametrize(
    ("name", "expected", "scores"),
    [
        ("entropy", [1, 0, 2], [np.log(2) + 2 * _bernoulli(0.01), 2 * _bernoulli(0.25) + _bernoulli(0.3),
                                _bernoulli(0.01)]),
        ("least-confidence", [1, 0, 2], [1 - 0.5 * 0.99**2, 1 - 0.75**2 * 0.7, 0.01]),
        ("margin", [0, 1, 2], [0.0, -0.4, -0.98]),
    ],
)  # fmt: skip
def test_answers_that_may_be_true_together_are_doubted_apart(
    name: str, expected: list[int], scores: list[float]
) -> None:
    said = prediction(THEMES, [[TORN, OPEN, SURE]])
    assert STRATEGIES.get(name)().score(said, pool_of(said)) == pytest.approx(scores, abs=1e-6)
    assert order(name, pool_of(said)) == expected


def test_a_sum_of_one_is_not_made_of_answers_that_may_be_true_together() -> None:
    # As classes the two would be alike: modAL makes a row sum to one.
    said = prediction(THEMES, [[[0.9, 0.9, 0.9], [0.5, 0.5, 0.5]]])
    for name in ("entropy", "least-confidence", "margin"):
        assert order(name, pool_of(said)) == [1, 0]


def test_bald_of_answers_that_may_be_true_together_adds_up_what_each_tells() -> None:
    # Nobody doubts, but about two answers the members contradict each other; then all doubt alike.
    said = prediction(THEMES, [[[1.0, 0.0, 1.0], [0.5, 0.5, 0.5]], [[0.0, 1.0, 1.0], [0.5, 0.5, 0.5]]])
    assert STRATEGIES.get("bald")().score(said, pool_of(said)) == pytest.approx([2 * np.log(2), 0], abs=1e-6)


@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 10_000))
def test_entropy_and_likeliest_set_are_those_of_all_sets_counted_one_by_one(
    members: int, answers: int, seed: int
) -> None:
    words = Dimension("words", Kind.MULTILABEL, tuple(Answer(f"w{i}", "") for i in range(answers)))
    probs = np.random.default_rng(seed).random((members, 3, answers)).astype(np.float32)
    said = prediction(words, probs.tolist())
    sets = np.array(list(product([False, True], repeat=answers)))
    ticked = said.probs.astype(float)[:, None]
    each = np.where(sets, ticked, 1 - ticked).prod(axis=2)
    assert STRATEGIES.get("entropy")().score(said, pool_of(said)) == pytest.approx(
        -(each * np.log(each)).sum(axis=1)
    )
    assert STRATEGIES.get("least-confidence")().score(said, pool_of(said)) == pytest.approx(
        1 - each.max(axis=1)
    )


@pytest.mark.parametrize("name", ["entropy", "margin", "least-confidence", "bald"])
def test_a_task_that_is_labelled_already_does_not_count(name: str) -> None:
    torn = [[CERTAIN, FLAT, CERTAIN], [[0.95, 0.03, 0.02], FLAT[::-1], [0.8, 0.1, 0.1]]]
    pool = pool_of(prediction(EMOTION, torn), missing={"emotion.M": [True, False, True]})
    assert order(name, pool) == [2, 0, 1]


@pytest.mark.parametrize("name", ["entropy", "margin", "least-confidence", "bald"])
def test_a_task_without_a_head_yet_is_passed_over(name: str) -> None:
    torn = [[CERTAIN, FLAT], [CERTAIN, FLAT[::-1]]]
    pool = pool_of(prediction(EMOTION, torn), missing={"sentiment.T": [True, True]})
    assert order(name, pool) == [1, 0]


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.0]), min_size=1, max_size=30))
def test_ranks_share_ties_and_do_not_depend_on_scale(values: list[float]) -> None:
    scores = np.array(values)
    expected = [np.mean([(scores < v).sum(), (scores <= v).sum()]) / len(scores) for v in scores]
    assert ranks(scores) == pytest.approx(expected)
    assert ranks(scores * 100 - 3) == pytest.approx(expected)


@given(st.integers(1, 40), st.integers(0, 6), st.integers(0, 1000), st.booleans())
def test_k_center_is_the_greedy_farthest_point_exactly(n: int, labelled: int, seed: int, lumpy: bool) -> None:
    rng = np.random.default_rng(seed)
    draw = (lambda size: rng.integers(0, 3, size)) if lumpy else rng.normal
    points, known = draw(size=(n, 3)), draw(size=(labelled, 3))
    selection = STRATEGIES.get("k-center")().select(points_of(points, known), n, np.random.default_rng(seed))
    centres = [*np.asarray(known, dtype=np.float32)]
    points = np.asarray(points, dtype=np.float32)
    for position, (i, score) in enumerate(zip(selection.indices, selection.scores, strict=True)):
        if centres:
            gaps = np.linalg.norm(points[:, None].astype(float) - np.array(centres, dtype=float), axis=2).min(
                1
            )
            gaps[selection.indices[:position]] = 0
            assert gaps[i] == pytest.approx(gaps.max(), abs=1e-6)
            assert score == pytest.approx(gaps[i], abs=1e-6)
        else:
            to_mean = np.linalg.norm(points - points.mean(0, dtype=float), axis=1)
            assert to_mean[i] == pytest.approx(to_mean.min())
        centres.append(points[i])


def test_k_center_visits_every_cluster_before_it_visits_one_twice() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [50, 0], [0, 50], [50, 50], [100, 0]])
    cluster = np.repeat(np.arange(5), 20)
    pool = points_of(centres[cluster] + rng.normal(size=(100, 2)), labelled=centres[:1])
    assert sorted(cluster[order("k-center", pool, k=4)]) == [1, 2, 3, 4]


def test_herding_takes_a_member_of_each_cluster_and_leaves_outliers_for_last() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [20, 0], [0, 20], [20, 20]])
    cluster = np.repeat(np.arange(4), 25)
    outlier = np.array([[300.0, -300.0]])
    pool = points_of(np.concatenate([centres[cluster] + rng.normal(size=(100, 2)), outlier]))
    chosen = order("herding", pool, k=8)
    assert sorted(cluster[chosen[:4]]) == [0, 1, 2, 3]
    assert 100 not in chosen


def test_herding_turns_to_what_the_labelled_samples_do_not_stand_for() -> None:
    rng = np.random.default_rng(0)
    clusters = [rng.normal(at, 1, (30, 2)) for at in (0, 30)]
    pool = points_of(np.concatenate(clusters), labelled=rng.normal(0, 1, (10, 2)))
    assert min(order("herding", pool, k=3)) >= 30


def test_blocks_give_the_same_distances_as_one_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pool = points_of(rng.normal(size=(300, 4)), labelled=rng.normal(size=(50, 4)))
    whole = {name: order(name, pool, k=30) for name in ("k-center", "herding")}
    monkeypatch.setattr("strategies._distance.BLOCK", 7)
    assert {name: order(name, pool, k=30) for name in whole} == whole


def test_uniform_reaches_every_sample_alike() -> None:
    pool = points_of(np.zeros((10, 2)))
    counts = np.bincount([i for seed in range(600) for i in order("uniform", pool, 3, seed)], minlength=10)
    # 1800 draws over ten samples: 180 each, standard deviation 11.
    assert np.abs(counts - 180).max() < 50


def test_a_model_of_other_tasks_is_told_to_be_trained_anew() -> None:
    known = pool_of(prediction(EMOTION, [[CERTAIN]]))
    pool = replace(known, missing={"mood.T": np.ones(1, dtype=bool)})
    with pytest.raises(ModelError, match="none of the tasks that are asked"):
        order("entropy", pool)
