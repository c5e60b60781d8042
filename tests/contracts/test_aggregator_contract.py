"""What every aggregator keeps, built in or plugged in."""

import copy
import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.registry import AGGREGATORS
from annotate.types import Aggregate, Dimension, Kind
from tests.support.dimensions import SENTIMENT, THEMES
from tests.support.pools import EMOTION

DIMENSIONS = {dimension.kind: dimension for dimension in (SENTIMENT, EMOTION, THEMES)}


def cases() -> Iterator[tuple[str, Dimension]]:
    """Each aggregator with a dimension of each kind that it was written for."""
    for name in AGGREGATORS.names():
        for kind in sorted(AGGREGATORS.get(name)().kinds):
            yield name, DIMENSIONS[kind]


each_case = pytest.mark.parametrize(
    ("name", "dimension"), list(cases()), ids=lambda part: part if isinstance(part, str) else part.kind.value
)


def answers_to(dimension: Dimension) -> st.SearchStrategy[str]:
    aliases = [answer.alias for answer in dimension.answers]
    if dimension.kind is Kind.MULTILABEL:
        return st.sets(st.sampled_from(aliases)).map(dimension.joined)
    if dimension.kind is Kind.REGRESSION:
        between = st.floats(dimension.low, dimension.high).map(repr)
        return st.sampled_from(aliases) | between
    return st.sampled_from(aliases)


def votes_on(dimension: Dimension) -> st.SearchStrategy[dict[str, dict[int, str]]]:
    of_sample = st.dictionaries(st.integers(1, 9), answers_to(dimension), max_size=5)
    return st.dictionaries(st.sampled_from("abcdefgh"), of_sample, max_size=6)


def fit(name: str, dimension: Dimension, votes: dict[str, dict[int, str]]) -> dict[str, Aggregate]:
    return AGGREGATORS.get(name)().fit_predict(dimension, votes)


@pytest.mark.parametrize("name", AGGREGATORS.names())
def test_it_says_what_it_does_and_for_which_kinds(name: str) -> None:
    aggregator = AGGREGATORS.get(name)()
    assert aggregator.kinds and aggregator.kinds <= set(Kind)
    assert isinstance(aggregator.per_sample, bool)
    assert aggregator.rule and aggregator.rule[-1] not in ".;"
    assert AGGREGATORS.descriptions()[name]


@each_case
@given(data=st.data())
def test_neither_a_second_run_nor_the_order_of_samples_and_raters_changes_a_result(
    name: str, dimension: Dimension, data: st.DataObject
) -> None:
    votes = data.draw(votes_on(dimension))
    untouched = copy.deepcopy(votes)
    first = fit(name, dimension, votes)
    assert votes == untouched
    assert fit(name, dimension, votes) == first
    turned = {sample: dict(reversed(given.items())) for sample, given in reversed(votes.items())}
    again = fit(name, dimension, turned)
    assert again == first
    assert {s: list(a.distribution) for s, a in again.items()} == {
        s: list(a.distribution) for s, a in first.items()
    }


@each_case
@given(data=st.data())
def test_every_sample_with_a_vote_has_a_label_that_the_dimension_can_hold(
    name: str, dimension: Dimension, data: st.DataObject
) -> None:
    votes = data.draw(votes_on(dimension))
    labels = fit(name, dimension, votes)
    assert set(labels) == {sample for sample, given in votes.items() if given}
    for sample, label in labels.items():
        assert 1 <= label.raters <= len(votes[sample])
        assert 0 <= label.confidence <= 1 + 1e-9
        if dimension.kind is Kind.REGRESSION:
            assert isinstance(label.value, float)
            assert dimension.low - 1e-9 <= label.value <= dimension.high + 1e-9
        else:
            assert isinstance(label.value, str) and dimension.takes(label.value)
        every = [answer.alias for answer in dimension.answers]
        assert list(label.distribution) == [alias for alias in every if alias in label.distribution]
        assert all(0 <= share <= 1 + 1e-9 for share in label.distribution.values())
        if dimension.kind is Kind.MULTILABEL:
            assert list(label.distribution) == every
        else:
            assert math.fsum(label.distribution.values()) == pytest.approx(1)


@each_case
@given(data=st.data())
def test_one_that_works_sample_by_sample_needs_no_other_sample(
    name: str, dimension: Dimension, data: st.DataObject
) -> None:
    if not AGGREGATORS.get(name)().per_sample:
        return
    votes = data.draw(votes_on(dimension))
    alone: dict[str, Aggregate] = {}
    for sample, given_answers in votes.items():
        alone |= fit(name, dimension, {sample: given_answers})
    assert alone == fit(name, dimension, votes)


@each_case
def test_no_votes_make_no_label(name: str, dimension: Dimension) -> None:
    assert fit(name, dimension, {}) == {}
    assert fit(name, dimension, {"a": {}}) == {}


@each_case
@pytest.mark.parametrize("raters", [1, 3])
def test_what_all_raters_of_a_single_sample_answer_is_its_label(
    name: str, dimension: Dimension, raters: int
) -> None:
    for answer in dimension.answers:
        label = fit(name, dimension, {"a": dict.fromkeys(range(raters), answer.alias)})["a"]
        assert label.value == answer.value
        assert max(label.distribution, key=lambda alias: label.distribution[alias]) == answer.alias


@each_case
def test_a_tie_does_not_depend_on_who_gave_which_answer(name: str, dimension: Dimension) -> None:
    first, *_, last = (answer.alias for answer in dimension.answers)
    assert fit(name, dimension, {"a": {1: first, 2: last}}) == fit(
        name, dimension, {"a": {1: last, 2: first}}
    )


@each_case
def test_zero_and_nothing_ticked_are_answers(name: str, dimension: Dimension) -> None:
    nothing = {Kind.REGRESSION: "0", Kind.CLASSIFICATION: dimension.answers[0].alias, Kind.MULTILABEL: ""}
    other = dimension.answers[-1].alias
    label = fit(name, dimension, {"a": {1: nothing[dimension.kind], 2: nothing[dimension.kind], 3: other}})[
        "a"
    ]
    assert label.raters == 3
    assert label.value != dimension.answers[-1].value
    assert label.distribution.get(other, 0) < 1
    assert fit(name, dimension, {"a": {1: nothing[dimension.kind]}})["a"].raters == 1
