"""Strategies that weigh places against uncertainty: each against a plain, slow reading of its paper."""

from dataclasses import replace

import numpy as np
import pytest

from annotate.batch.opening import make_strategy
from annotate.errors import ConfigError, FeatureError, UsageError
from annotate.types import LabeledSet, Pool
from strategies.cluster_margin import in_turns
from strategies.density_weighted import likeness
from strategies.probcover import next_clusters
from strategies.uniform import spread
from tests.support.dimensions import SENTIMENT, THEMES
from tests.support.pools import EMOTION, make_pool


def only(pool: Pool, *tasks: str) -> Pool:
    return replace(
        pool,
        predictions={t: pool.predictions[t] for t in tasks},
        missing={t: pool.missing[t] for t in tasks},
    )


def chosen(name: str, pool: Pool, k: int, seed: int = 0, **options: object) -> list[int]:
    made = make_strategy(name, {name: options})
    return made.select(pool, k, np.random.default_rng(seed)).indices.tolist()


@pytest.mark.parametrize("tasks", [("sentiment.T",), ("sentiment.T", "sentiment.A", "sentiment.M")])
def test_igs_takes_the_largest_least_product_of_distances(tasks: tuple[str, ...]) -> None:
    pool = only(make_pool(n=300, dimensions=(SENTIMENT,), labelled=20), *tasks)
    said = np.stack([pool.predictions[t].mean.astype(float) for t in tasks], axis=1)
    known = pool.known
    told = np.stack([known.labels[t] for t in tasks], axis=1)
    guess = np.stack([known.predictions[t].mean for t in tasks], axis=1)
    told = np.where(np.isnan(told), guess, told)
    wide, expected = pool.embeddings.astype(float), []
    while len(expected) < 25:
        centres = np.concatenate([pool.known.embeddings, wide[expected]])
        values = np.concatenate([told, said[expected]])
        apart = np.linalg.norm(wide[:, None] - centres, axis=2)
        least = (apart * np.abs(said[:, None] - values).prod(2)).min(1)
        least[expected] = -1
        expected.append(int(least.argmax()))
    assert chosen("igs", pool, 25) == expected


def test_ranked_batch_is_that_of_modal() -> None:
    from modAL.batch import ranked_batch

    pool = only(make_pool(n=200, dimensions=(EMOTION,), labelled=150), "emotion.T")

    class Learner:
        X_training = pool.known.embeddings.astype(float)
        on_transformed = False

    doubt = 1 - pool.predictions["emotion.T"].probs.max(axis=1)
    expected, _ = ranked_batch(Learner(), pool.embeddings.astype(float), doubt, 40, "euclidean", None)
    assert chosen("ranked-batch", pool, 40) == expected.tolist()


def test_ranked_batch_looks_as_far_as_it_has_to(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = only(make_pool(n=200, dimensions=(EMOTION,), labelled=150), "emotion.T")
    whole = chosen("ranked-batch", pool, 40)
    for name, number in (("ACTIVE", 2), ("FRONT", 3), ("WIDER", 0)):
        monkeypatch.setattr(f"strategies._farthest.{name}", number)
    assert chosen("ranked-batch", pool, 40) == whole


def test_scores_that_are_no_shares_weigh_as_much_as_distances():
    """`margin` lies in [-1, 0]; as it is, it would only ever be a punishment of at most (1 - α)."""
    pool = only(make_pool(60, dimensions=(EMOTION,), labelled=50), "emotion.T")
    scores = make_strategy("margin").pool_scores(pool, np.random.default_rng(0))
    stretched = (scores - scores.min()) / (scores.max() - scores.min())
    gap = np.linalg.norm(pool.embeddings[:, None] - pool.known.embeddings[None], axis=2).min(axis=1)
    alpha = 60 / 110
    best = int((alpha * (1 - 1 / (1 + gap)) + (1 - alpha) * stretched).argmax())
    assert make_strategy("ranked-batch:margin").select(pool, 1, np.random.default_rng(0)).indices[0] == best


def test_density_is_the_mean_over_all_pairs() -> None:
    points = np.random.default_rng(0).normal(1, 1, (200, 5)).astype(np.float32)
    points[7] = 0
    unit = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    assert likeness(points) == pytest.approx(((1 + unit @ unit.T) / 2).mean(1), abs=1e-5)


def test_density_weighted_is_entropy_times_density_to_a_power() -> None:
    pool = only(make_pool(n=100, dimensions=(EMOTION,)), "emotion.T")
    probs = pool.predictions["emotion.T"].probs.astype(float)
    scores = -(probs * np.log(probs)).sum(1) * likeness(pool.embeddings) ** 2
    assert chosen("density-weighted", pool, 20, beta=2.0) == np.argsort(-scores)[:20].tolist()


def test_clusters_take_turns_the_smallest_first() -> None:
    owner = np.array([0, 0, 0, 0, 1, 2, 2], dtype=np.int32)
    for seed in range(5):
        turns = owner[in_turns(owner, np.random.default_rng(seed))].tolist()
        assert turns == [1, 2, 0, 2, 0, 0, 0]


def test_cluster_margin_takes_one_of_each_kind_among_the_uncertain() -> None:
    pool = only(make_pool(n=200, dimensions=(EMOTION,)), "emotion.T")
    places = (np.eye(6)[np.arange(200) % 4] * 50).astype(np.float32)
    pool = replace(pool, embeddings=places)
    uncertain = set(chosen("margin", pool, 40))
    found = chosen("cluster-margin", pool, 4)
    assert set(found) <= uncertain
    assert {i % 4 for i in found} == {0, 1, 2, 3}


def test_probcover_covers_as_much_as_a_plain_greedy_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strategies.probcover.ProbCover._radius", lambda *_: 2.5**2)
    rng = np.random.default_rng(0)
    places = rng.normal(0, 6, (5, 4))
    points = (places[rng.integers(5, size=400)] + rng.normal(size=(400, 4))).astype(np.float32)
    pool = Pool(np.array([f"{i:016x}" for i in range(390)]), {}, {}, points[10:], LabeledSet(points[:10]))
    selection = make_strategy("probcover").select(pool, 30, rng)
    wide = pool.embeddings.astype(float)
    inside = np.linalg.norm(wide[:, None] - wide, axis=2) <= 2.5
    free = np.linalg.norm(wide[:, None] - points[:10], axis=2).min(1) > 2.5
    for i, score in zip(selection.indices, selection.scores, strict=True):
        assert score * 390 == pytest.approx((free & inside[i]).sum())
        assert (free & inside[i]).sum() == (free & inside).sum(1).max()
        free &= ~inside[i]


def test_probcover_skips_what_labels_cover_and_takes_the_dense_places_first() -> None:
    rng = np.random.default_rng(0)
    clump = np.repeat(np.arange(4), [60, 50, 40, 30])
    points = (np.eye(4)[clump] * 80 + rng.normal(size=(180, 4))).astype(np.float32)
    pool = Pool(np.array([f"{i:016x}" for i in range(180)]), {}, {}, points, LabeledSet(points[:5]))
    assert clump[chosen("probcover", pool, 3, kinds=4, purity=1.0)].tolist() == [1, 2, 3]


def test_a_ball_is_pure_until_it_meets_another_cluster() -> None:
    points = np.array([[0], [1], [5], [7], [20]], dtype=np.float32)
    owner = np.array([0, 0, 1, 1, 2], dtype=np.int32)
    assert np.sqrt(next_clusters(points, owner, 5, "cpu")).tolist() == [5, 4, 4, 6, 13]
    assert np.isinf(next_clusters(points, np.zeros(5, dtype=np.int32), 5, "cpu")).all()


def plain_bait(pool: Pool, k: int, ridge_of_pool: float = 1.0) -> list[int]:
    representation = next(iter(pool.representations.values())).astype(float)
    task = next(iter(pool.predictions))

    def rows(prediction: object, representations: np.ndarray) -> np.ndarray:
        error = prediction.probs.astype(float)
        error[np.arange(len(error)), error.argmax(1)] -= 1
        return np.linalg.norm(error, axis=1)[:, None] * representations

    given = rows(pool.predictions[task], representation)
    known = rows(pool.known.predictions[task], pool.known.representations[task].astype(float))
    fisher = given.T @ given / len(given)
    start = known.T @ known + ridge_of_pool * np.trace(fisher) / len(fisher) * np.eye(len(fisher))

    def cost(some: list[int]) -> float:
        return float(np.trace(np.linalg.inv(start + given[some].T @ given[some]) @ fisher))

    picked: list[int] = []
    while len(picked) < 2 * k:
        picked.append(
            min((i for i in range(len(given)) if i not in picked), key=lambda i: cost([*picked, i]))
        )
    while len(picked) > k:
        picked.remove(min(picked, key=lambda i: cost([j for j in picked if j != i])))
    return picked


@pytest.mark.parametrize("labelled", [0, 6])
def test_bait_is_the_greedy_search_forward_and_back(labelled: int) -> None:
    pool = make_pool(n=60, dimensions=(EMOTION,), labelled=labelled)
    pool = only(pool, "emotion.T")
    pool = replace(
        pool,
        representations={"emotion.T": pool.representations["emotion.T"]},
        known=replace(pool.known, representations={"emotion.T": pool.known.representations["emotion.T"]}),
    )
    assert chosen("bait", pool, 8) == plain_bait(pool, 8)


def test_uniform_gives_every_group_its_share_and_every_sample_the_same_chance() -> None:
    groups = np.repeat([5, 1, 9], [50, 30, 20])
    counts = np.zeros(100)
    for seed in range(2000):
        drawn = spread(groups, 10, np.random.default_rng(seed))
        assert len(set(drawn.tolist())) == 10
        assert [(groups[drawn] == g).sum() for g in (5, 1, 9)] == [5, 3, 2]
        counts[drawn] += 1
    # 200 each, standard deviation 13.4.
    assert np.abs(counts - 200).max() < 60


def test_uniform_tells_the_chance_of_each() -> None:
    pool = make_pool(n=40)
    for options in ({}, {"per": "speaker"}, {"per": "video"}):
        selection = make_strategy("uniform", {"uniform": options}).select(pool, 8, np.random.default_rng(0))
        assert selection.inclusion_probabilities == pytest.approx(np.full(8, 0.2))


@pytest.mark.parametrize(
    ("name", "options"),
    [("uniform", {"per": "scene"}), ("probcover", {"purity": 1.5}), ("probcover", {"kinds": 0}),
     ("ranked-batch", {"by": "k-center"}), ("density-weighted", {"by": "badge"})],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused_with_a_way_out(name: str, options: dict) -> None:
    with pytest.raises(ConfigError) as caught:
        make_strategy(name, {name: options})
    assert caught.value.hint


@pytest.mark.parametrize("name", ["badge", "bait", "density-weighted", "ranked-batch", "cluster-margin"])
def test_copies_and_a_pool_of_one_are_chosen_once(name: str) -> None:
    for n in (1, 2, 30):
        pool = make_pool(n=n, dimensions=(EMOTION, THEMES))
        first = np.zeros(n, dtype=np.intp)
        assert sorted(chosen(name, pool.of(first), n)) == list(range(n))


@pytest.mark.parametrize("name", ["ranked-batch:predictive-std", "cluster-margin:predictive-std", "igs"])
def test_where_nothing_that_it_ranks_is_missing_a_sample_comes_last(name: str) -> None:
    pool = only(make_pool(n=200, dimensions=(SENTIMENT,), labelled=10), "sentiment.T")
    wanted = np.arange(200) % 10 == 0
    pool = replace(pool, missing={"sentiment.T": wanted})
    found = chosen(name, pool, 15)
    assert wanted[found].all()
    assert wanted[chosen(name, pool, 25)].sum() == 20


@pytest.mark.parametrize(
    "name", ["herding", "typiclust", "probcover", "k-center", "lcmd", "cluster-margin", "igs", "auto"]
)
def test_what_is_too_large_for_distances_is_an_error_and_no_endless_search(name: str) -> None:
    pool = make_pool(n=60, dimensions=(SENTIMENT,), labelled=8)
    far = pool.embeddings.copy()
    far[0] = 1e20
    with pytest.raises(FeatureError, match="far too large") as caught:
        chosen(name, replace(pool, embeddings=far), 6)
    assert "annotate extract" in caught.value.hint


@pytest.mark.parametrize("name", ["herding", "auto"])
@pytest.mark.parametrize("scale", [1e-24, 1e12])
def test_tiny_and_large_places_are_places(name: str, scale: float) -> None:
    pool = make_pool(n=60, dimensions=(SENTIMENT,), labelled=8)
    known = replace(pool.known, embeddings=pool.known.embeddings * np.float32(scale))
    pool = replace(pool, embeddings=pool.embeddings * np.float32(scale), known=known)
    assert len(set(chosen(name, pool, 6))) == 6


def test_the_shares_of_groups_that_nobody_named_are_not_drawn_by_chance() -> None:
    with pytest.raises(UsageError, match="speaker"):
        chosen("uniform", replace(make_pool(n=20), groups={}), 5, per="speaker")
