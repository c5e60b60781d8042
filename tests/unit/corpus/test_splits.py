"""Splits are fair, repeatable, and never move."""

import random

from hypothesis import given
from hypothesis import strategies as st

from annotate.corpus.splits import assign
from annotate.types import Split

SHARES = {Split.TRAIN: 0.7, Split.VALID: 0.15, Split.TEST: 0.15}
GROUPS = st.dictionaries(st.text(min_size=1, max_size=8), st.integers(1, 50), max_size=40)


def split(groups, fixed=None, counts=None, seed=0):  # type: ignore[no-untyped-def]
    return assign(groups, fixed=fixed or {}, counts=counts or {}, shares=SHARES, seed=seed)


def test_no_groups_need_no_split() -> None:
    assert split({}) == {}


def test_one_speaker_goes_where_most_is_missing() -> None:
    assert split({"anna": 5}) == {"anna": Split.TRAIN}


@given(GROUPS, st.integers(0, 5))
def test_with_three_groups_no_split_is_empty(groups: dict[str, int], seed: int) -> None:
    chosen = split(groups, seed=seed)
    assert chosen.keys() == groups.keys()
    assert len(set(chosen.values())) == min(3, len(groups)) or len(groups) < 3


@given(GROUPS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(groups: dict[str, int], shuffle: random.Random) -> None:
    names = list(groups)
    shuffle.shuffle(names)
    assert split(groups) == split({name: groups[name] for name in names})


def test_another_seed_gives_other_splits() -> None:
    groups = {f"speaker {i}": 10 for i in range(30)}
    assert split(groups, seed=1) != split(groups, seed=2)


def test_a_speaker_with_a_split_keeps_it_whatever_is_missing() -> None:
    fixed = {"anna": Split.TEST}
    chosen = split({"anna": 1000, "ben": 1}, fixed=fixed, counts={Split.TEST: 100})
    assert chosen["anna"] is Split.TEST
    assert chosen["ben"] is Split.TRAIN


def test_later_groups_fill_the_splits_that_stayed_empty() -> None:
    fixed = {"anna": Split.TRAIN, "ben": Split.TRAIN}
    assert split({"cleo": 9}, fixed=fixed, counts={Split.TRAIN: 2})["cleo"] is not Split.TRAIN


def test_many_equal_groups_come_close_to_the_shares() -> None:
    chosen = list(split({f"speaker {i}": 10 for i in range(200)}).values())
    assert [chosen.count(s) for s in Split] == [140, 30, 30]
