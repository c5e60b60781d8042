"""What defines each ensemble: who sees which labels, and whose word counts how much."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from annotate.errors import ConfigError
from annotate.learning import checkpoint
from annotate.learning.batches import Origin
from annotate.learning.checkpoint import Checkpoint
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.ensembles.bagging import bootstrap
from annotate.learning.ensembles.boosting import member_weight, sample_errors, step
from annotate.learning.ensembles.stacking import combine
from annotate.learning.heads._answers import classification, entropy, multilabel, regression
from annotate.learning.predict import predict
from annotate.learning.prepared import TrainingSet
from annotate.learning.voting import majority_vote
from annotate.options import parse_options
from annotate.registry import ENSEMBLES
from annotate.types import Kind, Label, Modality, Task
from tests.contracts.test_part_contract import SMALL, labelled
from tests.support import dimensions

SCALE = Task(dimensions.regression("s", -1.0, 1.0), Modality.TEXT)
TWO = Task(dimensions.classification("e", "a", "b"), Modality.TEXT)
THREE = Task(dimensions.regression("s", -1.0, 0.0, 1.0), Modality.MULTIMODAL)
TICKS = Task(dimensions.multilabel("t", "a", "b"), Modality.TEXT)
FOUR = Task(dimensions.classification("e", *"abcd"), Modality.TEXT)


def train(name: str, **changes: object) -> tuple[object, dict]:
    training_set = labelled()
    made = fit_ensemble(training_set, replace(SMALL, ensemble=name, **changes), seed=0, device="cpu")
    return made, predict(made, training_set.read, training_set.train).predictions


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
    one, again = (predict(made, training_set.read, training_set.train).predictions for _ in range(2))
    assert np.array_equal(one["sentiment.M"].members, again["sentiment.M"].members)
    _, sober = train("mc-dropout", dropout=0.0)
    assert np.allclose(sober["sentiment.M"].epistemic, 0, atol=1e-6)


@pytest.mark.parametrize("passes", [0, 1_000_000_000])
def test_mc_dropout_refuses_passes_that_no_memory_holds(passes):
    with pytest.raises(ConfigError, match="passes cannot be") as raised:
        parse_options(ENSEMBLES, "mc-dropout", {"passes": passes})
    assert "1 to 1000" in raised.value.hint


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


@pytest.mark.parametrize(("task", "chance"), [(TWO, 1 / 2), (FOUR, 3 / 4)])
def test_for_the_next_member_the_last_one_is_no_better_than_chance(task, chance):
    """What makes the weights those of AdaBoost (Schapire & Singer 1999, section 3)."""
    rng = np.random.default_rng(0)
    weights, wrong = rng.uniform(0.5, 2.0, 300), (rng.random(300) < 0.2).astype(float)
    error = float((weights * wrong).sum() / weights.sum())
    moved = weights * np.exp(step(member_weight(task, error), wrong, error))
    assert (moved * wrong).sum() / moved.sum() == pytest.approx(chance)


def test_errors_lie_between_none_and_the_largest():
    classes = sample_errors(TWO, np.array([[0.7, 0.3], [0.2, 0.8]]), np.array([[1.0, 0.0], [0.9, 0.1]]))
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


# -- stacking: what counts is what is said about groups that were not learned from -----------------


def a_memoriser_beside_an_honest_one(repeated: bool = False) -> TrainingSet:
    """Texts name their sample, so that their labels can be learned by heart; sounds carry the truth, and
    noise. `repeated`: the samples of a group share one name and one truth."""
    rng = np.random.default_rng(0)
    ids = [f"{i:03d}" for i in range(72)]
    name = np.repeat(np.arange(24), 3) if repeated else np.arange(72)
    truth = rng.choice([-1.0, 0.0, 1.0], 72)[name]
    texts = np.eye(72, dtype=np.float32)[name][:, None]
    sounds = (truth + rng.normal(0, 0.7, 72)).astype(np.float32)[:, None, None]
    frames = {Modality.TEXT: texts, Modality.AUDIO: sounds}
    labels = {(i, THREE.id): Label(i, THREE.id, float(truth[int(i)]), {}, 1) for i in ids}
    return TrainingSet(
        (THREE,), ids, [], labels,
        lambda m, wanted: [frames[m][int(i)] for i in wanted], {m: m.word for m in frames},
        lambda wanted: [Origin(f"v{int(i) // 3}", 0, f"g{int(i) // 3}") for i in wanted],
    )  # fmt: skip


STACKED = replace(
    SMALL,
    ensemble="stacking", batch_size=24, epochs=30, learning_rate=0.03,
    options={"stacking": {"views": ("T", "A"), "folds": 3}},
)  # fmt: skip


@pytest.fixture(scope="module")
def stacked() -> tuple[TrainingSet, Checkpoint]:
    training_set = a_memoriser_beside_an_honest_one()
    return training_set, fit_ensemble(training_set, STACKED, seed=0, device="cpu")


def means(made: Checkpoint, training_set: TrainingSet) -> np.ndarray:
    """(members, n) on the scale, of the train samples."""
    predicted = predict(made, training_set.read, training_set.train).predictions[THREE.id]
    return predicted.members.astype(float) @ np.array([-1.0, 0.0, 1.0])


def test_a_base_that_knows_its_train_labels_by_heart_counts_little(stacked):
    """Judged by labels that it has learned from, it would count nearly everything."""
    training_set, made = stacked
    assert made.combination.sees == ("T", "T", "A", "A")
    truth = np.array([training_set.labels[i, THREE.id].value for i in training_set.train])
    seen = means(made, training_set).reshape(2, 2, -1, 1).mean(axis=1)
    assert combine(seen, truth[:, None])[0] > 0.8
    assert sum(made.combination.shares[THREE.id][:2]) < 0.3


def test_a_base_that_knows_its_train_groups_by_heart_counts_little():
    """Of a group that is divided it would say the truth."""
    training_set = a_memoriser_beside_an_honest_one(repeated=True)
    made = fit_ensemble(training_set, STACKED, seed=0, device="cpu")
    assert sum(made.combination.shares[THREE.id][:2]) < 0.3


def test_a_base_is_shown_its_own_modalities_only(stacked):
    training_set, made = stacked
    other = replace(
        training_set, read=lambda m, ids: [f + (m is Modality.TEXT) for f in training_set.read(m, ids)]
    )
    one, two = means(made, training_set), means(made, other)
    assert not np.allclose(one[:2], two[:2])
    assert np.array_equal(one[2:], two[2:])


def test_the_weights_are_those_of_least_squares_that_are_not_negative_and_sum_to_one():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(200, 1))
    said = np.stack([truth + s * rng.normal(size=truth.shape) for s in (0.3, 0.6, 3.0)] + [-truth])
    found = combine(said, truth)
    grid = rng.dirichlet(np.ones(4), 4000)
    errors = np.square(np.einsum("wk,kn->wn", grid, (said - truth)[..., 0])).sum(axis=1)
    assert (found >= 0).all() and found.sum() == pytest.approx(1)
    assert np.square(np.tensordot(found, said - truth, axes=1)).sum() <= errors.min()
    assert found[0] > found[1] > found[2] and found[3] < 0.2


def test_with_one_group_or_few_labels_the_first_base_speaks_alone():
    training_set = a_memoriser_beside_an_honest_one()
    one = replace(training_set, origins=lambda ids: [Origin(i, 0, "one") for i in ids])
    few = replace(training_set, train=training_set.train[:9])
    for found in (one, few):
        made = fit_ensemble(found, replace(STACKED, epochs=2), seed=0, device="cpu")
        assert made.combination.shares[THREE.id] == (0.5, 0.5, 0.0, 0.0)


def test_views_of_modalities_without_features_fall_together():
    made, _ = train("stacking", options={"stacking": {"views": ("TAV", "T")}})
    assert made.combination.sees == ("TAV", "TAV", "T", "T")
    training_set = a_memoriser_beside_an_honest_one()
    config = replace(STACKED, options={"stacking": {"views": ("TAV", "TA", "V")}}, epochs=2)
    assert fit_ensemble(training_set, config, seed=0, device="cpu").combination.sees == ("TA", "TA")


@pytest.mark.parametrize("views", [(), ("",), ("TX",), ("TA", "AT"), ("TT",)])
def test_views_that_cannot_be_are_refused(views):
    with pytest.raises(ConfigError, match="views"):
        parse_options(ENSEMBLES, "stacking", {"views": views})


def test_a_stacked_ensemble_says_the_same_when_it_is_read_again(tmp_path, stacked):
    training_set, made = stacked
    checkpoint.write(made, tmp_path / "model")
    read = checkpoint.read(tmp_path / "model")
    assert read.combination == made.combination
    assert np.array_equal(means(made, training_set), means(read, training_set))


# -- vote ------------------------------------------------------------------------------------------


def ballots(task, members):
    """Each member's own answer, and their mean, from (members, n, answers) probabilities."""
    make = multilabel if task.dimension.kind is Kind.MULTILABEL else classification
    return majority_vote(make(task, members), [make(task, members[[k]]) for k in range(len(members))])


def test_a_majority_outvotes_one_who_is_surer():
    members = np.array([[[0.55, 0.45]], [[0.55, 0.45]], [[0.01, 0.99]]])
    assert classification(TWO, members).mean[0] == 1
    voted = ballots(TWO, members)
    assert voted.mean[0] == 0
    assert voted.probs[0] == pytest.approx([2 / 3, 1 / 3], abs=2e-3)


def test_a_tie_goes_to_the_surer():
    members = np.array([[[0.6, 0.4]], [[0.1, 0.9]]])
    assert ballots(TWO, members).mean[0] == 1
    assert ballots(TWO, 1 - members).mean[0] == 0


def test_votes_on_ticks_are_counted_answer_by_answer():
    members = np.array([[[0.6, 0.4]], [[0.6, 0.4]], [[0.0, 1.0]]])
    assert multilabel(TICKS, members).ticked.tolist() == [[False, True]]
    assert ballots(TICKS, members).ticked.tolist() == [[True, False]]
    assert ballots(TICKS, members).mean.tolist() == [1.0]


def test_of_numbers_the_median_is_taken_which_one_wild_member_does_not_move():
    means = np.array([[0.1], [0.2], [-0.9]])
    each = [regression(SCALE, means[[k]], 0.1) for k in range(3)]
    voted = majority_vote(regression(SCALE, means, 0.1), each)
    assert voted.mean[0] == pytest.approx(0.1)
    assert regression(SCALE, means, 0.1).mean[0] == pytest.approx(-0.2)


def test_disagreement_is_the_entropy_of_the_votes():
    members = np.array([[[0.9, 0.1]], [[0.6, 0.4]], [[0.2, 0.8]]])
    assert ballots(TWO, members).epistemic[0] == pytest.approx(entropy(np.array([2 / 3, 1 / 3])), abs=0.01)


def test_a_vote_has_the_networks_of_a_deep_ensemble_and_another_answer():
    voted, said = train("vote", members=3)
    deep, mean = train("deep", members=3)
    for one, other in zip(voted.members, deep.members, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert not np.allclose(said["sentiment.M"].mean, mean["sentiment.M"].mean)
    assert np.allclose(said["emotion.M"].probs * 3, np.round(said["emotion.M"].probs * 3), atol=5e-3)


def test_the_mean_is_never_worse_than_the_average_member():
    rng = np.random.default_rng(0)
    means, truth = rng.normal(size=(5, 400)), rng.normal(size=400)
    assert np.square(means.mean(axis=0) - truth).mean() <= np.square(means - truth).mean()
    probs = rng.dirichlet(np.ones(4), (5, 400))
    right = rng.integers(4, size=400)
    mean = classification(FOUR, probs).probs
    rows = np.arange(400)
    assert -np.log(mean[rows, right]).mean() <= -np.log(probs[:, rows, right]).mean()
