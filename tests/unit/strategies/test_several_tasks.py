"""What several tasks make together, against rankings worked out one sample at a time."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.errors import ConfigError
from strategies import _several
from strategies._several import COMBINATIONS, combine
from strategies._top import top

A = [0.9, 0.5, 0.5, 0.1]
B = [10.0, 30.0, 20.0, 40.0]


def together(how, *tasks, missing=None, seed=0):
    scores = {f"t{i}": np.array(values, dtype=float) for i, values in enumerate(tasks)}
    n = len(tasks[0])
    masks = missing or [[True] * n for _ in tasks]
    wanted = {f"t{i}": np.array(mask) for i, mask in enumerate(masks)}
    return combine(scores, wanted, n, how, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        # Ranks of A: .875, .5, .5, .125; of B: .125, .625, .375, .875.
        # Places of A: 1, 2.5, 2.5, 4; of B: 4, 2, 3, 1.
        ("mean", [0.5, 0.5625, 0.4375, 0.5]),
        ("max", [0.875, 0.625, 0.5, 0.875]),
        ("rrf", [1 / 61 + 1 / 64, 1 / 62.5 + 1 / 62, 1 / 62.5 + 1 / 63, 1 / 64 + 1 / 61]),
        ("sum", [10.9, 30.5, 20.5, 40.1]),
    ],
)
def test_each_way_is_what_it_says(how, expected):
    assert together(how, A, B) == pytest.approx(expected)


@pytest.mark.parametrize("how", COMBINATIONS)
def test_what_has_its_label_counts_nothing_whatever_stands_there(how):
    missing = [[True, True, False, True], [True, True, True, False]]
    first = together(how, [3.0, 2.0, np.nan, 1.0], [1.0, 2.0, 3.0, np.nan], missing=missing)
    again = together(how, [3.0, 2.0, 1e9, 1.0], [1.0, 2.0, 3.0, -1e9], missing=missing)
    assert np.isfinite(first).all()
    assert (first == again).all()


@pytest.mark.parametrize("how", COMBINATIONS)
def test_a_sample_with_all_labels_comes_after_every_other(how):
    scores = together(how, [5.0, 1.0, 2.0], [5.0, 1.0, 2.0], missing=[[False, True, True]] * 2)
    assert scores.argmin() == 0
    assert scores[0] < scores[1:].min()


@given(st.integers(2, 4), st.integers(8, 40), st.integers(0, 1000), st.booleans())
def test_a_quota_gives_every_task_as_many_as_the_next(tasks, n, seed, alike):
    rng = np.random.default_rng(seed)
    # Alike: all tasks want the same samples first, so each has to go on to what is left.
    scores = np.tile(rng.random(n), (tasks, 1)) if alike else rng.random((tasks, n))
    chosen = top(together("quota", *scores), n, rng).tolist()
    for turn, sample in enumerate(chosen):
        left = [i for i in range(n) if i not in chosen[:turn]]
        assert scores[turn % tasks, sample] == scores[turn % tasks, left].max()


def test_a_task_that_has_nothing_left_passes_its_turns_on():
    missing = [[True, False, False, False, False], [True, True, True, True, False]]
    scores = together("quota", [1.0, 0, 0, 0, 0], [5.0, 4.0, 3.0, 2.0, 1.0], missing=missing)
    assert np.argsort(-scores).tolist() == [0, 1, 2, 3, 4]


def test_after_the_last_turn_that_is_counted_the_order_is_still_falling(monkeypatch):
    monkeypatch.setattr(_several, "EXACT", 4)
    scores = together("quota", [8.0, 7, 6, 5, 4, 3, 2, 1], [8.0, 7, 6, 5, 4, 3, 2, 1])
    assert (np.diff(scores) <= 0).all()
    assert len(set(scores[:4])) == 4
    assert scores[:4].min() > scores[4:].max()


@pytest.mark.parametrize("how", COMBINATIONS)
def test_equal_samples_are_taken_by_chance_and_not_by_position(how):
    flat = np.ones((3, 200))
    chosen = [top(together(how, *flat, seed=s), 20, np.random.default_rng(s)) for s in range(10)]
    assert abs(np.concatenate(chosen).mean() - 99.5) < 17


@pytest.mark.parametrize("how", ["mean", "max", "rrf", "quota"])
def test_the_unit_of_a_task_does_not_matter(how):
    assert (together(how, A, B) == together(how, A, np.array(B) * 1e6 - 3)).all()


@pytest.mark.parametrize("how", COMBINATIONS)
def test_one_task_that_all_samples_miss_keeps_its_scores(how):
    assert together(how, B).tolist() == B


def test_a_way_that_does_not_exist_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="'meen'") as caught:
        COMBINATIONS.require("meen")
    assert "'mean'" in caught.value.hint


@pytest.mark.parametrize("how", COMBINATIONS)
def test_a_hundred_thousand_samples_take_no_time(how):
    scores = np.random.default_rng(0).random((4, 100_000))
    start = time.process_time()
    together(how, *scores)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("how", ["mean", "max"])
def test_who_is_alone_in_its_task_is_not_asked_first(how):
    """However sure the model is of it: alone it would be the highest of one."""
    scores = [0.5, 0.7, 0.9, 0.0]
    found = together(how, scores, scores, missing=[[True, True, True, False], [False, False, False, True]])
    assert found.argmax() == 2
    assert found[3] == 0.5


def test_a_sum_below_zero_prefers_nothing_that_has_its_label():
    minus = [-3.0, -2.0, -1.0, -9.0]
    found = together("sum", minus, minus, missing=[[True, True, True, False], [True, True, True, False]])
    assert found.tolist() == [0, 2, 4, 0]
