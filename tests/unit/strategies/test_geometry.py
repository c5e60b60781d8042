"""Strategies that look at places: each chooses what a plain, slow reading of its paper chooses."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from annotate.batch.opening import make_strategy
from annotate.errors import FeatureError, ModelError
from annotate.types import LabeledSet, Modality, Pool, Task
from strategies import _device, _farthest
from strategies._clusters import centres_of
from strategies._distance import nearest, squared_between
from strategies._gradients import error_of, wanted_gradients
from strategies._seeding import PROPOSALS, seeds
from strategies._shadow import Shadow
from strategies.typiclust import typicality
from tests.support.dimensions import SENTIMENT, THEMES
from tests.support.pools import EMOTION, make_pool

PLACES = ("k-center", "lcmd", "typiclust", "herding")


def points_of(points: np.ndarray, labelled: np.ndarray | None = None) -> Pool:
    points = np.asarray(points, dtype=np.float32)
    labelled = points[:0] if labelled is None else np.asarray(labelled, dtype=np.float32)
    return Pool(np.array([f"{i:016x}" for i in range(len(points))]), {}, {}, points, LabeledSet(labelled))


def clumps(n: int, seed: int, width: int = 5, count: int = 9) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 3, (count, width))
    return (centres[rng.integers(count, size=n)] + rng.normal(size=(n, width))).astype(np.float32)


def chosen(name: str, pool: Pool, k: int, seed: int = 0) -> list[int]:
    return make_strategy(name).select(pool, k, np.random.default_rng(seed)).indices.tolist()


def middle(points: np.ndarray) -> int:
    return int(((points - points.mean(0, dtype=float)) ** 2).sum(1).argmin())


def plain_farthest(points: np.ndarray, labelled: np.ndarray, k: int) -> list[int]:
    wide, out = points.astype(float), [] if len(labelled) else [middle(points)]
    while len(out) < k:
        centres = np.concatenate([labelled.astype(float), wide[out]])
        gaps = ((wide[:, None] - centres) ** 2).sum(2).min(1)
        gaps[out] = -1
        out.append(int(gaps.argmax()))
    return out


def plain_largest_cluster(points: np.ndarray, labelled: np.ndarray, k: int) -> list[int]:
    wide, out = points.astype(float), [] if len(labelled) else [middle(points)]
    while len(out) < k:
        all_gaps = ((wide[:, None] - np.concatenate([labelled.astype(float), wide[out]])) ** 2).sum(2)
        owner, gaps = all_gaps.argmin(1), all_gaps.min(1)
        gaps[out] = 0
        members = np.flatnonzero(owner == np.bincount(owner, gaps).argmax())
        out.append(int(members[gaps[members].argmax()]))
    return out


@pytest.mark.parametrize("name", ["k-center", "lcmd"])
@pytest.mark.parametrize("labelled", [0, 1, 25])
@pytest.mark.parametrize("width", [1, 5, 40])
def test_greedy_choices_are_those_of_a_plain_loop_in_double_precision(
    name: str, labelled: int, width: int
) -> None:
    plain = {"k-center": plain_farthest, "lcmd": plain_largest_cluster}[name]
    points = clumps(500, seed=labelled + width, width=width)
    pool = points_of(points[labelled:], points[:labelled])
    assert chosen(name, pool, 60) == plain(pool.embeddings, points[:labelled], 60)


@pytest.mark.parametrize("name", ["k-center", "lcmd"])
def test_far_from_the_origin_they_choose_the_same(name: str) -> None:
    points = (clumps(400, seed=1) * 2048).round() / 2048
    near, far = points_of(points[20:], points[:20]), points_of(points[20:] + 4096, points[:20] + 4096)
    assert chosen(name, near, 50) == chosen(name, far, 50)


def test_a_look_that_is_too_narrow_widens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_farthest, "ACTIVE", 2)
    monkeypatch.setattr(_farthest, "FRONT", 3)
    points = clumps(450, seed=4, width=2)
    pool = points_of(points[5:], points[:5])
    expected = plain_farthest(pool.embeddings, points[:5], 25)
    monkeypatch.setattr(_farthest, "WIDER", 0)
    assert chosen("k-center", pool, 25) == expected


@pytest.mark.parametrize("name", PLACES)
def test_every_sample_is_chosen_once_when_all_are_asked_for_and_half_are_copies(name: str) -> None:
    points = clumps(30, seed=0)
    for some in (np.concatenate([points, points]), np.zeros((40, 3)), points[:1], np.zeros((1, 3))):
        assert sorted(chosen(name, points_of(some), len(some))) == list(range(len(some)))
        assert sorted(chosen(name, points_of(some, some), len(some))) == list(range(len(some)))


@pytest.mark.parametrize("name", ["k-center", "lcmd"])
def test_a_copy_of_what_is_there_comes_last(name: str) -> None:
    points = clumps(40, seed=2)
    pool = points_of(np.concatenate([points, points[:10]]), points[30:])
    first = chosen(name, pool, 30)
    assert not set(first) & set(range(30, 40))
    assert len({i % 40 for i in first}) == 30


@pytest.mark.parametrize("name", [*PLACES, "badge"])
def test_no_numbers_no_choice(name: str) -> None:
    pool = make_pool()
    broken = {modality: np.full((50, 4), np.inf, dtype=np.float32) for modality in Modality}
    pool = replace(
        pool,
        embeddings=np.full_like(pool.embeddings, np.inf),
        representations={t: broken[p.task.modality] for t, p in pool.predictions.items()},
    )
    with (
        np.errstate(all="ignore"),
        pytest.raises((FeatureError, ModelError), match="number"),
    ):
        chosen(name, pool, 5)


def test_the_nearest_centre_is_found_alike_on_every_device(monkeypatch: pytest.MonkeyPatch) -> None:
    points, centres = clumps(300, seed=0), clumps(70, seed=1)
    everything = ((points[:, None].astype(float) - centres) ** 2).sum(2)
    monkeypatch.setattr("strategies._distance.BLOCK", 64)
    monkeypatch.setattr("strategies._distance.CENTRES", 32)
    here = nearest(points, centres)
    monkeypatch.setattr("strategies._distance.device_of", lambda name: _device.Torch("cpu"))
    for gaps, owner in (here, nearest(points, centres, "cuda")):
        assert (owner == everything.argmin(1)).all()
        assert gaps == pytest.approx(everything.min(1), rel=1e-5)


def test_a_shadow_is_never_farther_than_what_casts_it() -> None:
    for width in (1, 3, 60):
        points = clumps(300, seed=width, width=width)
        shadow = Shadow(points, np.random.default_rng(0))
        for position in range(0, 300, 50):
            gaps = ((points.astype(float) - points[position]) ** 2).sum(1)
            limits = np.random.default_rng(position).permutation(gaps).astype(np.float32)
            assert set(np.flatnonzero(gaps < limits)) <= set(shadow.within(position, limits))
        nothing_near = shadow.within(0, np.full(300, 1e-3, dtype=np.float32))
        assert len(nothing_near) < 60


def test_centres_of_clumps_far_apart_are_their_means() -> None:
    rng = np.random.default_rng(0)
    places = np.array([[0, 0], [100, 0], [0, 100], [100, 100]])
    points = (np.repeat(places, 50, axis=0) + rng.normal(size=(200, 2))).astype(np.float32)
    found = centres_of(points, 4, rng)
    means = np.array([points[i : i + 50].mean(0) for i in range(0, 200, 50)])
    assert sorted(map(tuple, found.round(3))) == sorted(map(tuple, means.round(3)))


def test_of_equal_points_there_is_one_centre() -> None:
    assert len(centres_of(np.ones((20, 3), dtype=np.float32), 5, np.random.default_rng(0))) == 1


def test_typiclust_takes_the_densest_sample_of_each_clump_the_unlabelled_ones_first() -> None:
    rng = np.random.default_rng(0)
    places = np.array([[0, 0], [60, 0], [0, 60], [60, 60], [120, 0]])
    clump = np.repeat(np.arange(5), [40, 30, 50, 20, 35])
    points = (places[clump] + rng.normal(size=(175, 2))).astype(np.float32)
    first = chosen("typiclust", points_of(points, points[:1] + 0.1), 4)
    assert clump[first].tolist() == [2, 4, 1, 3]
    for i in first:
        members = np.flatnonzero(clump == clump[i])
        gaps = np.sort(np.linalg.norm(points[members][:, None] - points[members], axis=2), axis=1)
        near = gaps[:, 1 : min(20, len(members) - 1) + 1].mean(1)
        assert near[members == i][0] == pytest.approx(near.min())


def test_typicality_is_one_over_the_mean_distance_to_twenty_neighbours() -> None:
    points = clumps(600, seed=3)
    gaps = np.sort(np.linalg.norm(points[:, None].astype(float) - points, axis=2), axis=1)
    assert typicality(points) == pytest.approx(1 / gaps[:, 1:21].mean(1), rel=1e-3)


def test_typiclust_passes_over_a_handful_of_outliers() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate(
        [rng.normal(size=(60, 2)), rng.normal(500, 1, (60, 2)), rng.normal(-900, 1, (4, 2))]
    )
    assert all(i < 120 for i in chosen("typiclust", points_of(points), 6))


# --- gradients -----------------------------------------------------------------------------------------


def outer(pool: Pool) -> np.ndarray:
    """(n, all answers x hidden) gradients in full."""
    parts = []
    for task_id in pool.asked():
        error = error_of(pool.predictions[task_id]).astype(float) * pool.missing[task_id][:, None]
        parts.append(
            (error[:, :, None] * pool.representations[task_id].astype(float)[:, None]).reshape(len(pool), -1)
        )
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("dimensions", [(SENTIMENT,), (EMOTION,), (THEMES,), (SENTIMENT, EMOTION, THEMES)])
def test_distances_in_factors_are_those_of_the_whole_gradients(dimensions: tuple) -> None:
    pool = make_pool(n=40, dimensions=dimensions, share_missing=0.6)
    given, full = wanted_gradients(pool), outer(pool)
    everything = ((full[:, None] - full) ** 2).sum(2) * ((full**2).sum(1) > 0)[:, None]
    rows = np.arange(40)
    assert given.sizes == pytest.approx((full**2).sum(1), rel=1e-4, abs=1e-6)
    assert given.between(rows, rows) == pytest.approx(everything, rel=1e-3, abs=1e-4)
    assert given.nearest(rows[:3]) == pytest.approx(everything[:, :3].min(1), rel=1e-3, abs=1e-4)


def test_errors_are_what_the_loss_says_of_the_likeliest_answer() -> None:
    pool = make_pool(n=6)
    probs = pool.predictions["emotion.T"].probs
    onehot = np.eye(probs.shape[1])[probs.argmax(1)]
    assert error_of(pool.predictions["emotion.T"]) == pytest.approx(probs - onehot, abs=1e-6)
    themes = pool.predictions["themes.T"]
    assert error_of(themes) == pytest.approx(themes.probs - themes.ticked, abs=1e-6)
    said = pool.predictions["sentiment.T"]
    assert error_of(said)[:, 0] == pytest.approx(np.hypot(said.epistemic, said.aleatoric) / 2)


def test_what_is_labelled_everywhere_is_asked_for_last_by_badge() -> None:
    pool = make_pool(n=30, dimensions=(EMOTION,))
    labelled = np.arange(30) % 3 == 0
    pool = replace(pool, missing=dict.fromkeys(pool.missing, ~labelled))
    assert not set(chosen("badge", pool, 20)) & set(np.flatnonzero(labelled))


class Plane:
    """Seven points, of which two are the same."""

    def __init__(self) -> None:
        self.points = np.random.default_rng(3).normal(size=(7, 3)).astype(np.float32)
        self.points[6] = self.points[0]
        self.gaps = squared_between(self.points, self.points)
        self.passes = 0

    def between(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        return self.gaps[np.ix_(rows, others)]

    def nearest(self, others: np.ndarray) -> np.ndarray:
        self.passes += 1
        return self.gaps[:, others].min(1)


def law(plane: Plane, weights: np.ndarray) -> dict[tuple[int, ...], float]:
    """Chance of each ordered triple, written out."""
    found = {}
    for i in range(7):
        first = weights[i] / weights.sum()
        for j in range(7):
            second = plane.gaps[i, j] / plane.gaps[i].sum()
            left = np.minimum(plane.gaps[i], plane.gaps[j])
            for m in range(7):
                found[i, j, m] = first * second * left[m] / left.sum()
    return {triple: chance for triple, chance in found.items() if chance > 0}


@pytest.mark.parametrize("renewed", [False, True])
def test_seeds_follow_the_law_of_k_means_plus_plus_exactly(
    renewed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strategies._seeding.PROPOSALS", 1 if renewed else PROPOSALS)
    plane, rng, draws = Plane(), np.random.default_rng(11), 6000
    if renewed:
        monkeypatch.setattr("strategies._seeding.PATIENCE", 0)
    weights = (plane.points**2).sum(1).astype(float)
    counts = Counter(tuple(seeds(plane, weights, 3, rng).tolist()) for _ in range(draws))
    expected = law(plane, weights)
    assert set(counts) <= set(expected)
    common = [triple for triple, chance in expected.items() if chance * draws >= 8]
    seen = [counts[triple] for triple in common]
    hoped = [expected[triple] * draws for triple in common]
    rest = (draws - sum(seen), draws - sum(hoped))
    assert chisquare([*seen, rest[0]], [*hoped, rest[1]]).pvalue > 1e-3
    assert plane.passes >= draws * (2 if renewed else 1)


def test_seeds_end_though_all_the_weight_is_spent() -> None:
    plane = Plane()
    for seed in range(20):
        found = seeds(plane, np.ones(7), 7, np.random.default_rng(seed)).tolist()
        assert sorted(found) == list(range(7))
        assert {found.index(0), found.index(6)} & {6}


def test_a_single_far_point_is_found_however_stale_the_distances_are() -> None:
    # Once the far point is a centre, almost every proposal of the old distances is it again.
    points = np.concatenate([np.full((1, 2), 1e4), np.random.default_rng(0).normal(size=(3000, 2))])
    pool = make_pool(n=3001, dimensions=(EMOTION,), labelled=0)
    pool = replace(pool, representations=dict.fromkeys(pool.representations, points.astype(np.float32)))
    found = chosen("badge", pool, 50)
    assert found[0] == 0
    assert len(set(found)) == 50


def test_badge_spreads_over_what_a_list_of_the_most_uncertain_would_repeat() -> None:
    pool = make_pool(n=60, dimensions=(SENTIMENT,), labelled=0)
    task = Task(SENTIMENT, Modality.TEXT).id
    places = np.eye(4, dtype=np.float32)[np.arange(60) % 4] * 5
    said = replace(
        pool.predictions[task], epistemic=np.where(np.arange(60) % 4 == 0, 2, 1).astype(np.float32)
    )
    pool = replace(
        pool,
        predictions={task: said},
        missing={task: np.ones(60, dtype=bool)},
        representations={task: places},
    )
    assert {i % 4 for i in chosen("badge", pool, 4)} == {0, 1, 2, 3}
