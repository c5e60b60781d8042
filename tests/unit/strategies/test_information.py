"""What the committee's measures and the draws prefer, against modAL itself and counts by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.batch.opening import make_strategy
from annotate.errors import ConfigError, ModelError, UnknownName
from annotate.types import Kind, Modality, Task
from tests.support.dimensions import SENTIMENT, THEMES
from tests.support.pools import EMOTION, make_pool, predict


class Committee:
    """As much of modAL's as its measures ask."""

    def __init__(self, members):
        self.members = members.astype(float).transpose(1, 0, 2)
        self.classes_ = np.arange(members.shape[2])

    def __len__(self):
        return self.members.shape[1]

    def __iter__(self):
        return iter(range(len(self)))

    def vote(self, rows):
        return self.members.argmax(axis=2)

    def vote_proba(self, rows):
        return self.members

    def predict_proba(self, rows):
        return self.members.mean(axis=1)


def said(dimension, n=20, seed=0, members=5):
    return predict(Task(dimension, Modality.MULTIMODAL), n, np.random.default_rng(seed), members)


def pool_with(prediction):
    n = prediction.members.shape[1]
    task_id = prediction.task.id
    pool = make_pool(n, dimensions=(prediction.task.dimension,))
    return replace(
        pool,
        predictions={task_id: prediction},
        missing={task_id: np.ones(n, bool)},
        representations={task_id: pool.representations[task_id]},
    )


def score(name, prediction):
    return make_strategy(name).score(prediction, pool_with(prediction))


COMMITTEES = [
    ("vote-entropy", "vote_entropy"),
    ("consensus-entropy", "consensus_entropy"),
    ("max-disagreement", "KL_max_disagreement"),
]


@pytest.mark.parametrize(("ours", "theirs"), COMMITTEES)
@pytest.mark.parametrize("dimension", [EMOTION, SENTIMENT])
@given(n=st.integers(1, 12), members=st.integers(2, 6), seed=st.integers(0, 1000))
def test_a_committee_is_measured_as_by_modal(ours, theirs, dimension, n, members, seed):
    from modAL import disagreement, models  # noqa: F401  the first needs the second to be there

    prediction = said(dimension, n, seed, members)
    measure = getattr(disagreement, theirs)
    committee = Committee(prediction.members)
    expected = measure(committee, np.zeros(n))
    assert score(ours, prediction) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("entropy", "classifier_entropy"),
        ("margin", "classifier_margin"),
        ("least-confidence", "classifier_uncertainty"),
    ],
)
def test_uncertainty_is_measured_as_by_modal(name, theirs):
    from modAL import uncertainty

    prediction = said(EMOTION, 50)
    sign = -1 if name == "margin" else 1
    expected = sign * getattr(uncertainty, theirs)(Committee(prediction.members), np.zeros(50))
    assert score(name, prediction) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", [n for n, _ in COMMITTEES])
def test_answers_that_may_be_true_together_are_voted_on_apart(name):
    prediction = said(THEMES, 15)
    ticked = prediction.members.astype(float)
    both = np.stack([ticked, 1 - ticked], axis=-1).transpose(2, 0, 1, 3)
    if name == "max-disagreement":
        mean = both.mean(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(both > 0, both * np.log(both / mean), 0)
        expected = terms.sum(axis=(0, 3)).max(axis=0)
    else:
        likely = np.stack([ticked >= 0.5, ticked < 0.5], -1).transpose(2, 0, 1, 3)
        counted = both if name == "consensus-entropy" else likely
        mean = counted.mean(axis=1)
        expected = -(mean * np.log(np.maximum(mean, 1e-30))).sum(axis=(0, 2))
    assert score(name, prediction) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("name", ["bald", *[n for n, _ in COMMITTEES]])
def test_members_count_by_their_shares(name):
    first, second = np.random.default_rng(0).dirichlet(np.ones(4), (2, 9)).astype(np.float32)
    prediction = said(EMOTION, 9)
    three = replace(prediction, members=np.stack([first, first, second]))
    weighed = replace(prediction, members=np.stack([first, second]), shares=np.array([2 / 3, 1 / 3]))
    assert score(name, weighed) == pytest.approx(score(name, three), abs=1e-6)


@pytest.mark.parametrize("name", ["entropy", "margin", "bald", "vote-entropy", "max-disagreement"])
def test_pieces_say_what_one_piece_says(name, monkeypatch):
    prediction = said(EMOTION, 50)
    whole = score(name, prediction)
    monkeypatch.setattr("strategies._ensemble.PIECE", 7)
    assert (score(name, prediction) == whole).all()


def test_spread_on_the_scale_is_that_of_the_members_and_not_the_noise():
    prediction = said(SENTIMENT, 9)
    assert score("predictive-std", prediction) == pytest.approx(prediction.epistemic)


@pytest.mark.parametrize("name", ["bald", "predictive-std", "power", *[n for n, _ in COMMITTEES]])
def test_one_model_alone_is_refused_and_not_ranked_by_chance(name):
    pool = pool_with(replace(said(SENTIMENT, 9, members=1), epistemic=np.zeros(9, np.float32)))
    with pytest.raises(ModelError, match="ensemble") as caught:
        make_strategy(name).select(pool, 3, np.random.default_rng(0))
    assert "members" in caught.value.hint


# Draws


def drawing(text, scores, **options):
    """Draws k of samples with these scores by a seed."""
    made = make_strategy(text, {text.partition(":")[0]: options})
    made.scored.pool_scores = lambda pool, rng: np.asarray(scores, float)
    pool = make_pool(len(scores), labelled=0)
    return lambda k, seed=0: made.select(pool, k, np.random.default_rng(seed))


WEIGHTS = {
    "power": lambda s: s,
    "softmax": np.exp,
    "softrank": lambda s: 1 / (1 + np.argsort(np.argsort(-s))),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_first_draw_goes_by_the_weight(name):
    scores = np.array([3.0, 1.0, 0.5, 2.0])
    draw = drawing(f"{name}:bald", scores)
    first = [draw(1, seed).indices[0] for seed in range(1500)]
    weights = WEIGHTS[name](scores)
    assert np.bincount(first, minlength=4) / 1500 == pytest.approx(weights / weights.sum(), abs=0.05)


@pytest.mark.parametrize("name", WEIGHTS)
def test_without_sharpness_every_sample_is_as_likely(name):
    draw = drawing(name, np.arange(10.0), sharpness=0.0)
    counts = np.bincount(np.concatenate([draw(3, seed).indices for seed in range(1000)]), minlength=10)
    # 300 each, standard deviation 14.
    assert np.abs(counts - 300).max() < 60


def test_chances_weigh_a_sample_so_that_totals_come_out_right():
    scores = np.array([5.0, 3.0, 2.0, 1.0, 1.0, 0.5])
    draw = drawing("power:bald", scores)
    batches = [draw(3, seed) for seed in range(1500)]
    totals = [(scores[b.indices] ** 2 / b.inclusion_probabilities).sum() for b in batches]
    error = np.std(totals) / np.sqrt(len(totals))
    assert abs(np.mean(totals) - (scores**2).sum()) < 4 * error


def test_all_of_the_pool_is_certain_and_nothing_is_worthless_before_something_is():
    chosen = drawing("power:bald", [0.0, 1.0, 0.0, 2.0])(4)
    assert (chosen.inclusion_probabilities == 1).all()
    assert set(chosen.indices[:2].tolist()) == {1, 3}
    assert np.isfinite(chosen.scores).all()


def test_minus_a_gap_can_be_drawn_by_too():
    draw = drawing("power:margin", [-0.9, -0.1, -0.5])
    first = [draw(1, seed).indices[0] for seed in range(500)]
    counts = np.bincount(first, minlength=3)
    # Counted from the lowest: 0, 0.8 and 0.4.
    assert counts[0] == 0
    assert counts[1] > 1.5 * counts[2] > 0


def test_a_draw_ranks_what_the_strategy_behind_it_ranks():
    assert make_strategy("power:predictive-std").kinds == {Kind.REGRESSION}
    assert make_strategy("power:entropy").needs == make_strategy("entropy").needs


def test_a_strategy_without_scores_of_samples_cannot_be_drawn_by():
    with pytest.raises(ConfigError, match="k-center") as caught:
        make_strategy("power:k-center")
    assert "entropy" in caught.value.hint
    with pytest.raises(UnknownName):
        make_strategy("softmax:bold")


@pytest.mark.parametrize("name", ["bald", *[n for n, _ in COMMITTEES]])
def test_who_has_no_share_is_not_heard(name):
    prediction = said(EMOTION, 9, members=2)
    first = prediction.members[:1]
    alone = replace(prediction, members=prediction.members, shares=np.array([1.0, 0.0]))
    twice = replace(prediction, members=np.concatenate([first, first]))
    assert score(name, alone) == pytest.approx(score(name, twice), abs=1e-6)
    with pytest.raises(ModelError, match="one model alone"):
        make_strategy(name).select(
            pool_with(replace(alone, epistemic=np.zeros(9, np.float32))), 3, np.random.default_rng(0)
        )


@pytest.mark.parametrize("voters", [9, 10, 12])
def test_equal_votes_are_a_tie_whichever_answers_they_went_to(voters):
    votes = np.arange(voters) % 4 % 3
    members = np.stack([np.eye(4, dtype=np.float32)[[(v + turn) % 4 for turn in range(4)]] for v in votes])
    prediction = replace(said(EMOTION, 4, members=voters), members=members)
    assert len(set(score("vote-entropy", prediction).tolist())) == 1
