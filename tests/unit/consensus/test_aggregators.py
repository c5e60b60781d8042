"""The labels that the built-in aggregators make of given votes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.consensus.defaults import aggregate, default_aggregator
from annotate.registry import AGGREGATORS
from annotate.types import Aggregate, Dimension, Kind, Modality, Task
from tests.support.dimensions import SENTIMENT, THEMES, classification

EMOTION = classification("emotion", "sad", "happy", "calm")


def fit(name: str, dimension: Dimension, *answers: str) -> Aggregate:
    return AGGREGATORS.get(name)().fit_predict(dimension, {"s": dict(enumerate(answers))})["s"]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_an_aggregator_that_was_written_for_it(kind: Kind) -> None:
    assert kind in default_aggregator(kind).kinds


@given(st.lists(st.sampled_from(["-1", "0", "1"]), min_size=1, max_size=9))
def test_a_mean_lies_on_the_scale_and_its_shares_have_it_as_their_mean(aliases: list[str]) -> None:
    label = fit("mean", SENTIMENT, *aliases)
    assert label.value == pytest.approx(sum(map(float, aliases)) / len(aliases))
    shared = sum(float(alias) * share for alias, share in label.distribution.items())
    assert shared == pytest.approx(label.value)


def test_a_tie_goes_to_the_first_answer_of_the_settings_and_shows_in_the_confidence() -> None:
    label = fit("majority", EMOTION, "calm", "happy")
    assert label == Aggregate("happy", {"happy": 0.5, "calm": 0.5}, 0.5, 2)


def test_a_multilabel_label_holds_what_at_least_half_of_the_raters_ticked() -> None:
    label = fit("half", THEMES, "money|work", "work", "", "money|work|family")
    assert (label.value, label.raters) == ("work|money", 4)
    assert label.distribution == {"work": 0.75, "family": 0.25, "money": 0.5}
    assert label.confidence == pytest.approx((0.75 + 0.75 + 0.5) / 3)


def test_a_multilabel_label_of_nothing_tells_that_every_share_is_zero() -> None:
    label = fit("half", THEMES, "", "")
    assert label == Aggregate("", {"work": 0.0, "family": 0.0, "money": 0.0}, 1.0, 2)


def test_the_order_of_ticks_does_not_matter() -> None:
    assert fit("half", THEMES, "money|work") == fit("half", THEMES, "work|money")


def test_the_answers_to_one_sample_make_the_label_that_a_pull_stores() -> None:
    label = aggregate("s", Task(EMOTION, Modality.TEXT), ["calm", "sad", "calm"])
    assert (label.sample_id, label.task_id, label.value, label.raters) == ("s", "emotion.T", "calm", 3)
    assert label.distribution == pytest.approx({"sad": 1 / 3, "calm": 2 / 3})
