"""The default strategy: whom it hands over to, no crowds, no copies."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from annotate.batch.choosing import choose
from annotate.batch.opening import make_strategy
from annotate.batch.questions import Budget, QuestionCosts, choose_questions
from annotate.errors import ModelError, UnknownName
from annotate.registry import STRATEGIES
from annotate.types import LabeledSet, Modality, Pool, TaskPrediction
from strategies._deduplicate import deduplicate
from strategies._group_cap import GroupCap
from tests.support.dimensions import SENTIMENT, THEMES
from tests.support.pools import EMOTION, make_pool, predict, say


def known_of(pool: Pool, m: int, rng: np.random.Generator) -> LabeledSet:
    """So many labelled samples of all tasks of the pool."""
    tasks = [p.task for p in pool.predictions.values()]
    representations = {t.id: rng.normal(size=(m, 4)).astype(np.float32) for t in tasks}
    labels = {t.id: np.nan_to_num(say(t, m, rng)) for t in tasks}
    embeddings = rng.normal(size=(m, pool.embeddings.shape[1])).astype(np.float32)
    return LabeledSet(embeddings, representations, {t.id: predict(t, m, rng) for t in tasks}, labels)


@pytest.mark.parametrize(
    ("dimensions", "labelled", "options", "hands_over_to"),
    [
        ((SENTIMENT,), 20, {}, "herding"),
        ((EMOTION,), 20, {}, "herding"),
        ((SENTIMENT, EMOTION), 60, {"classification": "badge"}, "lcmd"),
        ((EMOTION,), 60, {"classification": "badge"}, "badge"),
        ((EMOTION,), 60, {"regression": "badge"}, "lcmd"),
    ],
)
def test_it_hands_over_by_labels_and_kinds(dimensions, labelled, options, hands_over_to, monkeypatch):
    asked = []

    def spy(name):
        made = STRATEGIES.get(name)

        class Spy(made):
            def select(self, *args):
                asked.append(name)
                return super().select(*args)

        return Spy

    kinds = {name: spy(name) for name in ("herding", "lcmd", "badge")}
    get = STRATEGIES.get
    monkeypatch.setattr(type(STRATEGIES), "get", lambda self, name: kinds.get(name) or get(name))
    pool = make_pool(n=80, dimensions=dimensions)
    pool = replace(pool, known=known_of(pool, labelled, np.random.default_rng(0)))
    make_strategy("auto", {"auto": options}).select(pool, 5, np.random.default_rng(0))
    assert set(asked) == {hands_over_to}


def test_no_speaker_and_no_video_gets_more_than_its_room_while_others_have_some():
    pool = make_pool(n=400)
    # One speaker has three quarters of the pool, and all that is uncertain.
    speakers = np.where(np.arange(400) < 300, 0, 1 + np.arange(400) % 9)
    pool = replace(pool, groups={"speaker": speakers, "video": np.arange(400) // 8})
    chosen = make_strategy("auto").select(pool, 40, np.random.default_rng(0)).indices
    assert np.bincount(speakers[chosen]).max() <= 12  # three times 40 / 10
    assert len(set(chosen.tolist())) == 40
    everybody = make_strategy("auto", {"auto": {"crowd": 0.0}}).select(pool, 40, np.random.default_rng(0))
    assert np.bincount(speakers[everybody.indices]).max() > 12


def test_where_only_one_crowd_is_left_the_batch_is_full_all_the_same():
    pool = replace(make_pool(n=50), groups={"speaker": np.zeros(50, int), "video": np.arange(50) % 2})
    chosen = make_strategy("auto").select(pool, 30, np.random.default_rng(0)).indices
    assert len(set(chosen.tolist())) == 30


def test_rooms_are_counted_for_speakers_and_videos_apart():
    crowds = GroupCap({"speaker": np.array([0, 0, 1, 1]), "video": np.array([0, 1, 2, 2])}, 4, 2, 1.0)
    assert crowds.admit(0)
    assert not crowds.admit(1)
    assert crowds.open().tolist() == [2, 3]
    assert crowds.admit(3)
    assert crowds.open().tolist() == []
    crowds.raise_limit()
    assert crowds.open().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("copies", [2, 30])
def test_of_copies_and_of_what_was_asked_before_nothing_is_asked_again(copies):
    rng = np.random.default_rng(0)
    base = rng.normal(size=(60, 16)).astype(np.float32)
    points = np.repeat(base, copies, axis=0) + rng.normal(0, 1e-4, (60 * copies, 16)).astype(np.float32)
    order = rng.permutation(len(points))
    kept = order[deduplicate(points[order], base[:10], 0.03, rng)] // copies
    assert sorted(kept) == list(range(10, 60))


def test_what_only_a_chain_joins_is_not_the_same():
    """Along a thin thread each point is near the next; its ends and its dense middle are far apart."""
    rng = np.random.default_rng(0)
    thread = rng.normal(size=(2000, 1)) * rng.normal(size=(1, 16)) + rng.normal(0, 1e-3, (2000, 16))
    points = thread.astype(np.float32)
    kept = points[deduplicate(points, points[:30], 0.03, rng)]
    spread = np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
    gaps = np.linalg.norm(points[:, None] - np.concatenate([kept, points[:30]]), axis=2)
    assert gaps.min(axis=1).max() < 3 * 0.03 * spread


def test_which_of_the_copies_is_kept_is_chance():
    points = np.repeat(np.eye(4, dtype=np.float32), 2, axis=0)
    kept = [deduplicate(points, points[:0], 0.03, np.random.default_rng(s)) for s in range(200)]
    assert np.mean([k % 2 for k in kept]) == pytest.approx(0.5, abs=0.1)


def test_nothing_is_a_copy_when_nobody_wants_that_or_there_is_nothing_to_compare():
    rng = np.random.default_rng(0)
    same = np.ones((5, 3), np.float32)
    assert deduplicate(same, same[:0], 0.0, rng).tolist() == [0, 1, 2, 3, 4]
    assert len(deduplicate(same, same[:0], 0.03, rng)) == 1
    assert deduplicate(same[:1], same, 0.03, rng).tolist() == [0]


def test_copies_are_asked_after_all_when_nothing_else_is_left():
    pool = make_pool(n=30)
    pool = replace(pool, embeddings=np.repeat(pool.embeddings[:10], 3, axis=0))
    chosen = make_strategy("auto").select(pool, 25, np.random.default_rng(0)).indices
    assert len(set(chosen.tolist())) == 25
    assert len({row // 3 for row in chosen[:10].tolist()}) == 10


def alone(pool: Pool) -> Pool:
    """What one network says: nobody is there to disagree with."""

    def first(predictions: Mapping[str, TaskPrediction]) -> dict[str, TaskPrediction]:
        return {
            t: replace(p, members=p.members[:1], epistemic=0 * p.epistemic) for t, p in predictions.items()
        }

    known = replace(pool.known, predictions=first(pool.known.predictions))
    return replace(pool, predictions=first(pool.predictions), known=known)


@pytest.mark.parametrize("dimensions", [(SENTIMENT,), (EMOTION,)])
def test_one_network_alone_is_enough_for_the_default(dimensions):
    pool = make_pool(n=400, dimensions=dimensions)
    pool = alone(replace(pool, known=known_of(pool, 60, np.random.default_rng(0))))
    assert len(make_strategy("auto").select(pool, 5, np.random.default_rng(0)).indices) == 5


def test_one_network_alone_tells_no_single_questions_apart_and_says_so():
    pool = alone(make_pool(n=40, dimensions=(SENTIMENT,)))
    prices = QuestionCosts(tuple(Modality), np.ones((40, 4), bool), np.full((40, 4), 10.0))
    with pytest.raises(ModelError, match="never disagrees") as caught:
        choose_questions(
            make_strategy("uniform"), "uniform", pool, prices, Budget(questions=8), np.random.default_rng(0)
        )
    assert "--whole-samples" in caught.value.hint


def test_a_strategy_that_does_not_exist_is_told_at_once():
    with pytest.raises(UnknownName, match="lcdm"):
        make_strategy("auto", {"auto": {"regression": "lcdm"}})


def test_who_cannot_choose_is_called_by_its_name():
    pool = alone(make_pool(n=40, dimensions=(SENTIMENT,)))
    with pytest.raises(ModelError, match="power:bald needs an ensemble"):
        choose(make_strategy("power:bald"), "power:bald", pool, 3, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["bait", "mmal", "igs", "k-center", "epig", "learning-loss", "margin"])
@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_it_can_stand_on_strategies_that_look_at_what_is_known(name, kind):
    """The limit of a crowd makes it choose in steps: what was taken is then known like what was asked."""
    dimensions = (SENTIMENT, EMOTION, THEMES) if kind == "regression" else (EMOTION, THEMES)
    pool = make_pool(n=120, dimensions=dimensions)
    pool = replace(pool, groups={"speaker": np.arange(120) % 10 * (np.arange(120) > 60)})
    pool = replace(pool, known=known_of(pool, 90, np.random.default_rng(0)))
    strategy = make_strategy("auto", {"auto": {kind: name}})
    if (kind, name) == ("classification", "igs"):
        with pytest.raises(ModelError, match="use igs, which cannot rank classification and multilabel"):
            strategy.select(pool, 20, np.random.default_rng(0))
        return
    chosen = strategy.select(pool, 20, np.random.default_rng(0)).indices
    assert len(set(chosen.tolist())) == 20


def test_what_the_model_knows_and_nobody_asks_stands_in_no_way():
    pool = make_pool(n=60, dimensions=(SENTIMENT, EMOTION))
    pool = replace(pool, known=known_of(pool, 60, np.random.default_rng(0)))
    unasked = next(iter(pool.missing))
    pool = replace(pool, missing={t: wanted for t, wanted in pool.missing.items() if t != unasked})
    for name in ("auto", "igs", "margin"):
        assert len(choose(make_strategy(name), name, pool, 5, np.random.default_rng(0)).indices) == 5


def test_what_was_taken_is_known_with_all_that_is_known_of_it_but_labels():
    pool = make_pool(n=30, dimensions=(SENTIMENT, THEMES))
    pool = replace(pool, known=known_of(pool, 8, np.random.default_rng(0)))
    rows = np.array([4, 2])
    known = pool.knowing(rows)
    assert len(known) == 10
    np.testing.assert_array_equal(known.embeddings[8:], pool.embeddings[rows])
    for task_id, said in known.predictions.items():
        np.testing.assert_array_equal(said.members[:, 8:], pool.predictions[task_id].members[:, rows])
        np.testing.assert_array_equal(known.representations[task_id][8:], pool.representations[task_id][rows])
        assert np.isnan(known.labels[task_id][8:]).all() and np.isfinite(known.labels[task_id][:8]).all()


def test_copies_obey_the_limit_that_others_obeyed():
    """Five deduplicate places and many copies of one more: a speaker who is full is not given copies, too."""
    rng = np.random.default_rng(0)
    pool = make_pool(n=60)
    places = rng.normal(size=(15, pool.embeddings.shape[1])).astype(np.float32)
    speakers = np.arange(60) % 11
    pool = replace(pool, embeddings=places[np.arange(60) % 15], groups={"speaker": speakers})
    chosen = make_strategy("auto").select(pool, 25, rng).indices
    assert len(set(chosen.tolist())) == 25
    assert np.bincount(speakers[chosen]).max() <= 7  # three times 25 / 11


@pytest.mark.parametrize("options", [{"auto": {"early": "igs"}}, {"power": {"by": "predictive-std"}}])
def test_no_strategy_is_shown_answers_that_it_cannot_rank(options):
    labelled = 0 if "auto" in options else 90
    pool = make_pool(n=400, dimensions=(EMOTION,))
    pool = replace(pool, known=known_of(pool, labelled, np.random.default_rng(0)))
    with pytest.raises(ModelError, match="cannot rank classification"):
        make_strategy("auto", options).select(pool, 5, np.random.default_rng(0))


def test_labels_of_samples_that_are_asked_more_count_too(monkeypatch):
    """Where single questions are asked most samples have some of their labels, and few have all."""
    pool = make_pool(n=200, dimensions=(SENTIMENT,), labelled=0)
    told = np.arange(200) < 60
    missing = {t: ~told if t == "sentiment.T" else wanted for t, wanted in pool.missing.items()}
    early = pytest.fail
    strategy = make_strategy("auto")
    monkeypatch.setattr(strategy.inner["herding"], "select", lambda *_: early("it has sixty labels"))
    assert len(strategy.select(replace(pool, missing=missing), 5, np.random.default_rng(0)).indices) == 5
