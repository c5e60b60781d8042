"""What defines each ensemble: who sees which labels, and whose word counts how much."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from annotate.learning.ensemble import fit_ensemble
from annotate.learning.ensembles.bagging import bootstrap
from annotate.learning.ensembles.boosting import member_weight, sample_errors
from annotate.learning.heads._answers import classification, regression
from annotate.learning.predict import predict
from annotate.types import Answer, Dimension, Kind, Modality, Task
from tests.contracts.test_part_contract import SMALL, labelled

SCALE = Task(Dimension("s", Kind.REGRESSION, (Answer(-1.0, "a"), Answer(1.0, "b"))), Modality.TEXT)
TWO = Task(Dimension("e", Kind.CLASSIFICATION, (Answer("a", "a"), Answer("b", "b"))), Modality.TEXT)
FOUR = Task(Dimension("e", Kind.CLASSIFICATION, tuple(Answer(v, v) for v in "abcd")), Modality.TEXT)


def train(name: str, **changes: object) -> tuple[object, dict]:
    training_set = labelled()
    made = fit_ensemble(training_set, replace(SMALL, ensemble=name, **changes), seed=0, device="cpu")
    return made, predict(made, training_set.read, training_set.train)[0]


def test_mc_dropout_has_one_network_and_a_member_for_each_pass():
    made, said = train("mc-dropout", dropout=0.5, options={"mc-dropout": {"passes": 7}})
    assert len(made.members) == 1
    assert said["sentiment.M"].members.shape[0] == 7
    assert (said["sentiment.M"].epistemic > 0).all()


def test_mc_dropout_says_the_same_each_time_and_without_dropout_all_passes_agree():
    training_set = labelled()
    made = fit_ensemble(
        training_set, replace(SMALL, ensemble="mc-dropout", dropout=0.5), seed=0, device="cpu"
    )
    one, again = (predict(made, training_set.read, training_set.train)[0] for _ in range(2))
    assert np.array_equal(one["sentiment.M"].members, again["sentiment.M"].members)
    _, sober = train("mc-dropout", dropout=0.0)
    assert np.allclose(sober["sentiment.M"].epistemic, 0, atol=1e-6)


def test_a_bootstrap_draws_whole_groups_as_many_as_there_are():
    groups = np.repeat(np.arange(20), 3)
    drawn = bootstrap(groups, 4, seed=0)
    assert drawn.shape == (4, 60)
    assert (drawn[:, ::3].sum(axis=1) == 20).all()
    assert (drawn.reshape(4, 20, 3).std(axis=2) == 0).all()
    assert ((drawn == 0).mean(axis=1) > 0.2).all()  # about 1/e of the groups stay out
    assert bootstrap(np.zeros(9, int), 2, seed=0).sum() == 18


def test_bagged_members_see_other_labels_than_deep_ones():
    bagged, _ = train("bagging")
    deep, _ = train("deep")
    name = next(iter(bagged.members[0]))
    assert not torch.equal(bagged.members[0][name], deep.members[0][name])


@pytest.mark.parametrize(
    ("task", "error", "expected"),
    [
        (TWO, 0.25, 0.5 * np.log(3)),
        (TWO, 0.5, 0.0),
        (FOUR, 0.25, np.log(3)),
        (FOUR, 0.75, 0.0),
        (SCALE, 0.2, np.log(2)),
    ],
)
def test_a_members_weight_is_that_of_adaboost(task, error, expected):
    assert member_weight(task, error) == pytest.approx(expected)


def test_errors_lie_between_none_and_the_largest():
    classes = sample_errors(TWO, np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.9, 0.1]]))
    assert classes.tolist() == [0.0, 1.0]
    numbers = sample_errors(SCALE, np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [0.0], [0.0]]))
    assert numbers.tolist() == [0.0, 0.5, 1.0]


def test_boosted_members_count_by_their_own_alpha():
    made, said = train("boosting", members=3)
    shares = made.combination.shares["emotion.M"]
    assert len(shares) == 3
    assert sum(shares) == pytest.approx(1.0)
    prediction = said["emotion.M"]
    by_hand = np.tensordot(np.array(shares), prediction.members.astype(float), axes=1)
    assert np.allclose(prediction.probs, by_hand, atol=1e-6)
    assert np.array_equal(prediction.mean, by_hand.argmax(axis=1))


def test_a_member_that_counts_nothing_changes_nothing():
    means = np.array([[0.2, -0.4], [0.9, 0.9]])
    alone, ignored = regression(SCALE, means[:1], 0.1), regression(SCALE, means, 0.1, np.array([1.0, 0.0]))
    assert np.allclose(alone.mean, ignored.mean) and np.allclose(ignored.epistemic, 0)
    probs = np.array([[[0.9, 0.1]], [[0.2, 0.8]]])
    assert classification(TWO, probs, np.array([1.0, 0.0])).mean[0] == 0
    assert classification(TWO, probs, np.array([0.0, 1.0])).mean[0] == 1


def test_the_mean_is_never_worse_than_the_average_member():
    rng = np.random.default_rng(0)
    means, truth = rng.normal(size=(5, 400)), rng.normal(size=400)
    assert np.square(means.mean(axis=0) - truth).mean() <= np.square(means - truth).mean()
    probs = rng.dirichlet(np.ones(4), (5, 400))
    right = rng.integers(4, size=400)
    mean = classification(FOUR, probs).probs
    rows = np.arange(400)
    assert -np.log(mean[rows, right]).mean() <= -np.log(probs[:, rows, right]).mean()
