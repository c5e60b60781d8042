"""Numbers between the answers of a scale, where means of others lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.registry import AGGREGATORS
from annotate.types import Answer, Dimension, Kind
from tests.support.dimensions import regression

UNEVEN = regression("x", -3.0, -1.0, 0.0, 0.5, 7.0)
WORDS = Dimension("y", Kind.CLASSIFICATION, (Answer("1", "one"), Answer("2", "two")))


@given(st.floats(-3, 7))
def test_the_answers_around_a_number_have_it_as_their_mean(number):
    near = UNEVEN.near(number)
    assert sum(near.values()) == pytest.approx(1) and all(0 <= share <= 1 for share in near.values())
    assert sum(float(alias) * share for alias, share in near.items()) == pytest.approx(number, abs=1e-9)
    assert len(near) <= 2


def test_an_answer_is_near_itself_only():
    for answer in UNEVEN.answers:
        assert UNEVEN.near(float(answer.value)) == {answer.alias: 1.0}


@pytest.mark.parametrize("said", ["7.01", "-3.5", "nan", "inf", "good", ""])
def test_what_is_not_on_the_scale_is_no_number_of_it(said):
    assert UNEVEN.number(said) is None


def test_words_are_no_numbers_even_if_they_look_like_some():
    assert WORDS.number("1") is None


def test_a_label_holds_means_and_answers_of_several():
    votes = {"s": {1: "0.25", 2: "0", 3: "7"}}
    found = AGGREGATORS.get("mean")().fit_predict(UNEVEN, votes)["s"]
    assert found.value == pytest.approx(7.25 / 3)
    assert found.distribution == pytest.approx({"0": 0.5, "0.5": 1 / 6, "7": 1 / 3})
    assert (found.confidence, found.raters) == (0.5, 3)
