"""modAL and ours understand each other in both directions, with the scikit-learn that is installed."""

import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression

from annotate.batch.choosing import choose
from annotate.batch.opening import make_strategy
from annotate.errors import ConfigError, ModelError, UnknownName
from annotate.modal import as_modal, repair_teach
from tests.support.dimensions import SENTIMENT, THEMES
from tests.support.pools import EMOTION, make_pool


def one_task(dimension=EMOTION, n=40, task="emotion.M", labelled=6):
    pool = make_pool(n, dimensions=(dimension,), labelled=labelled)
    return replace(pool, predictions={task: pool.predictions[task]}, missing={task: np.ones(n, bool)})


def taken(name, pool, k=6, seed=0):
    return choose(make_strategy(name), name, pool, k, np.random.default_rng(seed))


# modAL's in ours


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("uncertainty.uncertainty_sampling", "least-confidence"),
        ("uncertainty.margin_sampling", "margin"),
        ("uncertainty.entropy_sampling", "entropy"),
        ("disagreement.consensus_entropy_sampling", "consensus-entropy"),
        ("disagreement.max_disagreement_sampling", "max-disagreement"),
    ],
)
def test_modal_chooses_on_our_predictions_what_our_strategy_chooses(theirs, ours):
    pool = one_task()
    assert taken(f"modal:modAL.{theirs}", pool).indices.tolist() == taken(ours, pool).indices.tolist()


def test_modal_chooses_by_votes_what_our_strategy_chooses_up_to_ties():
    pool = one_task()
    score = make_strategy("vote-entropy").score(pool.predictions["emotion.M"], pool)
    theirs = taken("modal:modAL.disagreement.vote_entropy_sampling", pool).indices
    ours = taken("vote-entropy", pool).indices
    assert score[theirs] == pytest.approx(score[ours])


def test_modal_chooses_by_spread_on_a_scale():
    pool = one_task(SENTIMENT, task="sentiment.M")
    theirs = taken("modal:modAL.disagreement.max_std_sampling", pool)
    assert theirs.indices.tolist() == taken("predictive-std", pool).indices.tolist()


def test_modals_ranked_batch_sees_the_embeddings_of_pool_and_labelled():
    from modAL.batch import uncertainty_batch_sampling

    pool = one_task()
    chosen = taken("modal:modAL.batch.uncertainty_batch_sampling", pool)

    class Learner:
        on_transformed, X_training = False, pool.known.embeddings

        def predict_proba(self, X):
            return pool.predictions["emotion.M"].probs

    expected, _ = uncertainty_batch_sampling(Learner(), pool.embeddings, n_instances=6)
    assert chosen.indices.tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["avg_confidence", "min_confidence", "avg_score", "max_score"])
def test_modals_strategies_for_several_answers_run(name):
    chosen = taken(f"modal:modAL.multilabel.{name}", one_task(THEMES, task="themes.M"))
    assert len(set(chosen.indices.tolist())) == 6


def test_several_tasks_take_turns():
    pool = make_pool(30, dimensions=(EMOTION,))
    first = {
        t: set(taken("modal", replace(pool, missing={t: np.ones(30, bool)}), 2).indices) for t in pool.missing
    }
    pool = replace(pool, missing={t: np.ones(30, bool) for t in pool.missing})
    chosen = taken("modal", pool, 8).indices.tolist()
    assert len(set(chosen)) == 8
    assert all(set(chosen[:8]) & wanted for wanted in first.values())


def test_a_sample_that_has_its_label_is_not_shown_to_modal():
    wanted = np.arange(40) % 2 == 0
    pool = replace(one_task(), missing={"emotion.M": wanted})
    assert wanted[taken("modal", pool, 20).indices].all()


@pytest.fixture
def theirs(monkeypatch):
    """Makes a function importable as ``theirs.it``."""

    def give(function):
        module = types.ModuleType("theirs")
        module.it = function
        monkeypatch.setitem(sys.modules, "theirs", module)
        return "modal:theirs.it"

    return give


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (np.array([0, 1]), "a pair of indices"),
        (([0, 0], [1.0, 1.0]), "twice"),
        (([0, 40], [1.0, 1.0]), "outside"),
        (([0, -1], [1.0, 1.0]), "outside"),
        (([0], [1.0]), "asked for 2"),
        (([0.5, 1.5], [1.0, 1.0]), "not integers"),
        (None, "a pair of indices"),
    ],
)
def test_a_result_that_is_not_a_batch_is_refused(theirs, answer, said):
    name = theirs(lambda learner, X, n_instances=1: answer)
    with pytest.raises(ModelError, match=said) as caught:
        taken(name, one_task(), 2)
    assert "(indices, metrics)" in caught.value.hint


def test_a_function_that_fails_says_which_and_why(theirs):
    def fails(learner, X, n_instances=1):
        raise KeyError("gamma")

    with pytest.raises(ModelError, match=r"theirs\.it failed on emotion\.M: 'gamma'"):
        taken(theirs(fails), one_task())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("modal:nowhere.to.be.found", "cannot be imported"),
        ("modal:modAL.uncertainty.margn_sampling", "cannot be imported"),
        ("modal:nobody", "no strategy for modAL"),
        ("modal:modAL.uncertainty", "is not a function"),
    ],
)
def test_a_function_that_is_not_there_is_an_error_before_anything_is_ranked(name, said):
    with pytest.raises(ConfigError, match=said) as caught:
        make_strategy(name)
    assert caught.value.hint


def test_an_entry_point_names_a_function_too(monkeypatch):
    from modAL.uncertainty import margin_sampling

    class Entry:
        name = "ours"

        def load(self):
            return margin_sampling

    monkeypatch.setattr("strategies.modal.entry_points", lambda **_: [Entry()])
    assert make_strategy("modal:ours").function is margin_sampling


def test_what_a_function_draws_from_numpy_is_decided_by_our_seed_and_leaves_no_trace(theirs):
    def draws(learner, X, n_instances=1):
        return np.random.permutation(len(X))[:n_instances], None

    name = theirs(draws)
    np.random.seed(5)
    before = np.random.get_state()[1].tolist()
    first, again, other = (taken(name, one_task(), seed=s).indices.tolist() for s in (1, 1, 2))
    assert first == again != other
    assert np.random.get_state()[1].tolist() == before


def test_predictions_are_asked_for_in_slices_or_refused(theirs):
    def slices(learner, X, n_instances=1):
        halves = [learner.predict_proba(X[:7]), learner.predict_proba(X[7:]), learner.predict_proba(X[::3])]
        assert (np.concatenate(halves[:2]) == learner.predict_proba(X)).all()
        assert (halves[2] == learner.predict_proba(X)[::3]).all()
        return np.arange(n_instances), None

    def copies(learner, X, n_instances=1):
        return learner.predict_proba(X[np.arange(5)]), None

    taken(theirs(slices), one_task())
    with pytest.raises(ModelError, match="not a slice"):
        taken(theirs(copies), one_task())


def test_a_learner_knows_what_was_taught(theirs):
    pool = one_task()
    found = {}

    def looks(learner, X, n_instances=1):
        found.update(X=learner.X_training, y=learner.y_training, members=len(list(learner)))
        return np.arange(n_instances), None

    taken(theirs(looks), pool)
    assert (found["X"] == pool.known.embeddings).all()
    assert np.array_equal(found["y"], pool.known.labels["emotion.M"], equal_nan=True)
    assert found["members"] == 3


# Ours in modAL


def moons(n=200, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 2))
    return features, np.where(features.sum(axis=1) > 0, "yes", "no")


@pytest.mark.parametrize(
    "name", ["entropy", "k-center", "margin", "expected-gradient-length", "power:entropy"]
)
def test_our_strategy_teaches_a_modal_learner(name):
    from modAL.models import ActiveLearner

    features, classes = moons()
    start = np.array([(classes == "no").argmax(), (classes == "yes").argmax()])
    learner = ActiveLearner(
        LogisticRegression(),
        query_strategy=as_modal(name),
        X_training=features[start],
        y_training=classes[start],
    )
    for _ in range(5):
        chosen, _ = learner.query(features, n_instances=2)
        learner.teach(features[chosen], classes[chosen])
    assert learner.X_training.shape == (12, 2)
    assert learner.score(features, classes) > 0.85


@pytest.mark.parametrize("only_new", [False, True])
def test_modals_own_learners_and_committees_can_be_taught_once_teach_is_repaired(only_new):
    from modAL.models import ActiveLearner, Committee

    repair_teach()
    features, classes = moons()
    learners = [
        ActiveLearner(LogisticRegression(), X_training=features[i : i + 20], y_training=classes[i : i + 20])
        for i in (0, 20)
    ]
    committee = Committee(learners)
    committee.teach(features[40:80], classes[40:80], only_new=only_new)
    assert committee.score(features, classes) > 0.85
    learners[0].fit(features, classes)
    assert learners[0].X_training.shape == features.shape


def test_a_repaired_teach_still_refuses_what_is_not_finite_and_accepts_it_where_allowed():
    from modAL.models import ActiveLearner
    from sklearn.ensemble import HistGradientBoostingClassifier

    repair_teach()
    features, classes = moons()
    gaps = np.where(features > 1, np.nan, features)
    learner = ActiveLearner(
        HistGradientBoostingClassifier(max_iter=5), X_training=features, y_training=classes
    )
    with pytest.raises(ValueError, match="NaN"):
        learner.teach(gaps, classes)
    learner.force_all_finite = False
    learner.teach(gaps, classes)
    assert len(learner.X_training) == 2 * len(features)


def test_the_repair_leaves_scikit_learn_and_a_modal_that_needs_none_as_they_are(monkeypatch):
    import sklearn.utils
    from modAL.models import learners

    original = sklearn.utils.check_X_y
    monkeypatch.setattr(learners, "check_X_y", original)
    repair_teach()
    repaired = learners.check_X_y
    repair_teach()
    assert learners.check_X_y is repaired is not original
    assert sklearn.utils.check_X_y is original
    another = types.SimpleNamespace()
    monkeypatch.setattr(learners, "check_X_y", another)
    repair_teach()
    assert learners.check_X_y is another


@pytest.mark.parametrize("name", ["badge", "entropy", "k-center"])
def test_sparse_features_are_as_good_as_dense_ones(name):
    from modAL.models import ActiveLearner
    from scipy.sparse import csr_matrix

    features, classes = moons()
    asked = []
    for X in (features, csr_matrix(features)):
        learner = ActiveLearner(
            LogisticRegression(), query_strategy=as_modal(name), X_training=X[:9], y_training=classes[:9]
        )
        asked.append(learner.query(X, n_instances=4)[0].tolist())
    assert asked[0] == asked[1]


def test_our_entropy_asks_in_modal_what_modals_entropy_asks():
    from modAL.models import ActiveLearner
    from modAL.uncertainty import entropy_sampling

    features, classes = moons()
    learner = ActiveLearner(LogisticRegression(), X_training=features[:9], y_training=classes[:9])
    ours, _ = as_modal("entropy")(learner, features, n_instances=5)
    theirs, _ = entropy_sampling(learner, features, n_instances=5)
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("name", ["bald", "vote-entropy", "batch-bald", "epig"])
def test_our_strategies_hear_every_member_of_a_modal_committee(name):
    from modAL.models import ActiveLearner, Committee

    features, classes = moons()
    learners = [
        ActiveLearner(LogisticRegression(), X_training=features[i : i + 20], y_training=classes[i : i + 20])
        for i in (0, 20, 40)
    ]
    committee = Committee(learners, query_strategy=as_modal(name))
    chosen, rows = committee.query(features, n_instances=4)
    assert len(set(chosen.tolist())) == 4
    assert (rows == features[chosen]).all()


def test_one_learner_alone_has_no_members_to_disagree():
    from modAL.models import ActiveLearner

    features, classes = moons()
    learner = ActiveLearner(LogisticRegression(), X_training=features[:9], y_training=classes[:9])
    with pytest.raises(ModelError, match="ensemble"):
        as_modal("bald")(learner, features)


@pytest.mark.parametrize("name", ["predictive-std", "bald"])
def test_a_regressor_that_knows_its_doubt_is_asked_far_from_what_it_was_taught(name):
    from modAL.models import ActiveLearner

    features = np.linspace(0, 10, 101)[:, None]
    taught = features[:30]
    learner = ActiveLearner(
        GaussianProcessRegressor(optimizer=None), query_strategy=as_modal(name),
        X_training=taught, y_training=np.sin(taught).ravel(),
    )  # fmt: skip
    chosen, _ = learner.query(features, n_instances=5)
    assert features[chosen].min() > 4


def test_a_committee_of_regressors_is_asked_where_they_are_apart():
    from modAL.models import ActiveLearner, CommitteeRegressor
    from sklearn.linear_model import LinearRegression

    features = np.linspace(-1, 1, 41)[:, None]
    learners = [
        ActiveLearner(
            LinearRegression(), X_training=np.array([[0.0], [1.0]]), y_training=np.array([0.0, slope])
        )
        for slope in (1.0, -1.0)
    ]
    committee = CommitteeRegressor(learners, query_strategy=as_modal("predictive-std"))
    chosen, _ = committee.query(features, n_instances=2)
    assert sorted(chosen.tolist()) == [0, 40]


def test_the_same_generator_gives_the_same_batch_and_another_another():
    from modAL.models import ActiveLearner

    features, classes = moons()
    learner = ActiveLearner(LogisticRegression(), X_training=features[:9], y_training=classes[:9])
    first, again, other = (
        as_modal("uniform", np.random.default_rng(s))(learner, features, n_instances=5)[0].tolist()
        for s in (1, 1, 2)
    )
    assert first == again != other


def test_a_strategy_that_is_none_is_an_error_at_once():
    with pytest.raises(UnknownName):
        as_modal("entropi")
