"""How a batch is divided between strategy, audit and held-out splits, and how fair the draws are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from time import process_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from annotate.batch.quotas import Choice, Counts, Strata, UniformDraws, draw, in_rank_order
from annotate.corpus.embeddings import WIDE, embed, pooled
from annotate.types import Modality, Role, Split
from db.batches import Candidate


def candidates(split: Split, n: int, roles: Sequence[Role] = (), tag: str = "") -> list[Candidate]:
    return [
        Candidate(f"{split}{tag}{i:04d}", split, tuple(Modality), False, frozenset(roles), frozenset())
        for i in range(n)
    ]


def parts(train: int = 0, valid: int = 0, test: int = 0, audited: int = 0) -> Strata:
    return Strata.of(
        [
            *candidates(Split.TRAIN, train),
            *candidates(Split.TRAIN, audited, [Role.AUDIT], "back"),
            *candidates(Split.VALID, valid),
            *candidates(Split.TEST, test),
        ]
    )


def drawn(
    n: int, of: Strata, holdout: float = 0.2, audit: float = 0.1, seed: int = 0, before: Counts | None = None
) -> UniformDraws:
    return draw(
        n, of, before=before or Counts(), holdout_share=holdout, audit_share=audit,
        rng=np.random.default_rng(seed),
    )  # fmt: skip


def sizes(draws: UniformDraws) -> tuple[int, int, int]:
    """(active, audit, holdout)"""
    return draws.active, len(draws.audit), len(draws.holdout)


@pytest.mark.parametrize(
    ("n", "of", "expected"),
    [
        (20, parts(100, 20, 20), (14, 2, 4)),
        (10, parts(100, 20, 20), (7, 1, 2)),
        (5, parts(100, 20, 20), (3, 1, 1)),
        (1, parts(100, 20, 20), (1, 0, 0)),
        (2, parts(100, 20, 20), (2, 0, 0)),
        # A part that runs dry leaves its room to the others.
        (20, parts(100), (18, 2, 0)),
        (20, parts(100, 1, 0), (17, 2, 1)),
        (20, parts(0, 30, 30), (0, 0, 20)),
        (20, parts(3, 30, 30), (2, 1, 17)),
        (20, parts(1, 0, 0), (1, 0, 0)),
        (20, parts(2, 0, 0), (1, 1, 0)),
        (20, parts(5, 1, 1), (4, 1, 2)),
        # Audit samples that came back, and nothing else.
        (20, parts(audited=3), (0, 3, 0)),
        (20, parts(), (0, 0, 0)),
    ],
)
def test_a_batch_is_divided_by_the_shares(n: int, of: Strata, expected: tuple[int, int, int]) -> None:
    assert sizes(drawn(n, of)) == expected


def test_shares_of_nothing_are_kept() -> None:
    assert sizes(drawn(20, parts(100, 20, 20), holdout=0, audit=0)) == (20, 0, 0)
    assert sizes(drawn(20, parts(100, 20, 20), holdout=0.5, audit=0)) == (10, 0, 10)


def run(sizes_asked: Sequence[int], holdout: float, audit: float) -> list[tuple[int, int, int]]:
    """The divisions of batches that follow each other in a corpus that never runs dry."""
    of, before, found = parts(400, 400, 400), Counts(), []
    for n in sizes_asked:
        found.append(sizes(drawn(n, of, holdout, audit, before=before)))
        active, audits, held = found[-1]
        before = Counts(before.active + active, before.audit + audits, before.holdout + held)
    return found


@given(st.lists(st.integers(1, 30), min_size=1, max_size=25), st.floats(0, 0.5), st.floats(0, 0.25))
def test_over_many_batches_of_any_sizes_audit_and_holdout_stay_within_one_sample_of_their_shares(
    asked: list[int], holdout: float, audit: float
) -> None:
    total = np.zeros(3)
    for division in run(asked, holdout, audit):
        total += division
        wanted = total.sum() * np.array([audit, holdout])
        assert (abs(total[1:] - wanted) <= 1 + 1e-9).all(), (total, wanted)
    assert total.sum() == sum(asked)


def test_twenty_batches_of_one_are_divided_as_one_batch_of_twenty() -> None:
    assert tuple(np.sum(run([1] * 20, 0.2, 0.1), axis=0)) == sizes(drawn(20, parts(100, 20, 20)))
    assert tuple(np.sum(run([2] * 10, 0.2, 0.1), axis=0)) == (14, 2, 4)
    assert run([1], 0.2, 0.1) == [(1, 0, 0)]


@pytest.mark.parametrize("n", [5, 8, 20])
def test_the_first_batch_of_some_size_has_an_audit_sample(n: int) -> None:
    of = parts(100, 20, 20)
    assert len(drawn(n, of, audit=0.01).audit) == 1
    assert len(drawn(n, of, audit=0.01, before=Counts(active=3)).audit) == 1
    assert len(drawn(n, of, audit=0.01, before=Counts(20, 1, 5)).audit) == 0


def test_what_a_dry_part_missed_is_not_caught_up_at_the_cost_of_learning() -> None:
    of = parts(100, 50, 50)
    assert sizes(drawn(10, of, before=Counts(active=180, audit=20))) == (6, 1, 3)
    assert sizes(drawn(10, of, before=Counts(holdout=100))) == (7, 2, 1)


@given(
    st.integers(1, 40), st.integers(0, 30), st.integers(0, 10), st.integers(0, 10), st.integers(0, 4),
    st.sampled_from([0.0, 0.2, 0.9]), st.sampled_from([0.0, 0.1, 0.6]), st.integers(0, 50),
)  # fmt: skip
def test_no_sample_twice_none_forgotten_and_never_a_role_that_does_not_fit(
    n: int, train: int, valid: int, test: int, audited: int, holdout: float, audit: float, seed: int
) -> None:
    of = parts(train, valid, test, audited)
    draws = drawn(n, of, holdout, audit, seed)
    ids = [choice.candidate.sample_id for choice in (*draws.audit, *draws.holdout)]
    free = {c.sample_id for c in draws.pool}
    assert len(set(ids)) == len(ids)
    assert not free & set(ids)
    assert draws.active <= len(free)
    assert all(Role.AUDIT not in c.roles for c in draws.pool)
    assert all(c.candidate.split is Split.TRAIN for c in draws.audit)
    assert all(c.candidate.split is not Split.TRAIN for c in draws.holdout)
    total = draws.active + len(ids)
    if audited == 0:
        assert total == min(n, train + valid + test)
    else:
        # Audit samples that came back are drawn as audit only, so some may wait for the next batch.
        assert min(n, 1) <= total <= n
    if train and n > 1 and holdout < 0.5:
        assert draws.active > 0


@given(st.integers(1, 20), st.integers(0, 4), st.integers(0, 40), st.integers(0, 50))
def test_the_audit_leaves_something_new_to_learn_from_however_much_may_be_asked_again(
    n: int, fresh: int, again: int, seed: int
) -> None:
    old = [
        replace(c, passes=(), again=(Modality.MULTIMODAL,))
        for c in candidates(Split.TRAIN, again, [Role.ACTIVE], "again")
    ]
    of = Strata.of([*candidates(Split.TRAIN, fresh), *old])
    draws = drawn(n, of, audit=0.5, seed=seed)
    assert draws.active + len(draws.audit) == min(n, fresh + again)
    assert len(draws.audit) < max(fresh, 1)
    assert all(Role.ACTIVE not in choice.candidate.roles for choice in draws.audit)


def test_from_two_on_both_held_out_splits_get_some() -> None:
    for valid, test in ((50, 2), (2, 50), (1, 1)):
        splits = Counter(c.candidate.split for c in drawn(10, parts(100, valid, test)).holdout)
        assert min(splits[Split.VALID], splits[Split.TEST]) == 1


def test_every_sample_is_drawn_as_often_as_its_inclusion_probability_says() -> None:
    of, seen, promised = parts(40, 6, 3), Counter[str](), dict[str, float]()
    runs = 1500
    for seed in range(runs):
        draws = drawn(20, of, seed=seed)
        for choice in (*draws.audit, *draws.holdout):
            seen[choice.candidate.sample_id] += 1
            promised[choice.candidate.sample_id] = choice.inclusion_probability or 0
    assert len(promised) == 40 + 6 + 3
    for sample_id, chance in promised.items():
        spread = np.sqrt(chance * (1 - chance) / runs)
        assert abs(seen[sample_id] / runs - chance) < 4.5 * spread + 1e-9


def test_what_came_back_keeps_its_role() -> None:
    back = [*candidates(Split.TRAIN, 5, [Role.AUDIT], "a"), *candidates(Split.TRAIN, 5, [Role.ACTIVE], "b")]
    of = Strata.of([*back, *candidates(Split.TRAIN, 20)])
    for seed in range(20):
        draws = drawn(20, of, seed=seed)
        assert not {c.sample_id for c in draws.pool} & {c.sample_id for c in back[:5]}
        assert not {c.candidate.sample_id for c in draws.audit} & {c.sample_id for c in back[5:]}


def test_places_of_uniform_draws_are_by_chance_and_the_strategy_keeps_its_order() -> None:
    active = [Choice(c, Role.ACTIVE, 1.0) for c in candidates(Split.TRAIN, 14)]
    others = [Choice(c, Role.HOLDOUT) for c in candidates(Split.TEST, 6)]
    places = []
    for seed in range(200):
        ordered = in_rank_order(active, others, np.random.default_rng(seed))
        assert [c for c in ordered if c.role is Role.ACTIVE] == active
        assert [c for c in ordered if c.role is Role.HOLDOUT] == others
        places += [i for i, c in enumerate(ordered) if c.role is Role.HOLDOUT]
    # 1200 places from 0..19: mean 9.5, its standard error 0.17.
    assert abs(np.mean(places) - 9.5) < 0.8


def test_without_a_model_every_modality_weighs_the_same_whatever_its_scale_and_width() -> None:
    rng = np.random.default_rng(0)
    wide, narrow = rng.normal(size=(80, 400)) * 1000, rng.normal(size=(80, 3)) * 1e-3
    constant = np.full((80, 5), 7.0)
    points = embed([wide, narrow, constant])
    assert points.shape == (80, WIDE + 3 + 5)
    assert np.isfinite(points).all()
    weights = [(part**2).sum(1).mean() for part in np.split(points, [WIDE, WIDE + 3], axis=1)]
    assert weights == pytest.approx([1, 1, 0], abs=1e-4)


def test_few_samples_of_many_numbers_keep_their_distances_and_take_no_time() -> None:
    part = np.random.default_rng(0).normal(size=(20, 2048))
    embed([part[:3]])  # what is imported for it takes time once
    started = process_time()
    points = embed([part])
    assert process_time() - started < 1
    standard = (part - part.mean(0)) / part.std(0)
    assert points.shape == (20, 20)
    assert pdist(points) == pytest.approx(pdist(standard) / np.sqrt(2048), rel=1e-4)


def test_one_sample_alone_has_an_embedding_too() -> None:
    assert np.isfinite(embed([np.ones((1, 300)), np.zeros((1, 2))])).all()


def test_frames_are_averaged() -> None:
    frames = [np.array([[0, 2], [2, 4]], dtype=np.float32), np.array([[5, 5]], dtype=np.float32)]
    assert pooled(frames).tolist() == [[1, 3], [5, 5]]


def test_a_modality_that_says_nothing_says_it_without_a_warning() -> None:
    silent = embed([np.zeros((5, WIDE + 1)), np.arange(10.0).reshape(5, 2)])
    assert np.isfinite(silent).all()
