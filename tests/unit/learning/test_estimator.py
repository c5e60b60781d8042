"""The multi-task model keeps what scikit-learn and modAL expect of an estimator."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from annotate.errors import ModelError
from annotate.learning.estimator import MultiTaskModel
from annotate.learning.model_config import ModelConfig
from annotate.modal import as_modal
from annotate.types import Modality, Task
from tests.support.dimensions import classification, multilabel, regression

QUICK = ModelConfig(
    hidden=16, members=2, epochs=20, patience=20, batch_size=16, learning_rate=2e-2, dropout=0.0
)
MOOD = Task(classification("mood", "bad", "good"), Modality.TEXT)
TONE = Task(regression("tone", -3.0, 0.0, 3.0), Modality.AUDIO)
ABOUT = Task(multilabel("about", "x", "y"), Modality.MULTIMODAL)
COLUMNS = {Modality.TEXT: [0, 1], Modality.AUDIO: [2]}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def table(n=80, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, 3))
    return X, np.where(X[:, 0] > 0, "good", "bad"), np.clip(X[:, 2], -3, 3)


@pytest.fixture(scope="module")
def several():
    X, mood, tone = table()
    about = np.array(["|".join(a for a, c in (("x", row[1]), ("y", row[2])) if c > 0) for row in X])
    y = np.stack([mood.astype(object), tone.astype(object), about.astype(object)], axis=1)
    y[::7, 0] = None
    y[::5, 1] = np.nan
    torch.set_num_threads(1)
    return MultiTaskModel([MOOD, TONE, ABOUT], COLUMNS, QUICK).fit(X, y), X, y


def test_several_tasks_are_learned_from_one_table_with_gaps(several):
    model, X, y = several
    said = model.predict(X)
    assert said.shape == (80, 3)
    assert model.score(X, y) > 0.8
    chances = model.predict_proba(X)
    assert [c.shape for c in chances] == [(80, 2), (80, 3), (80, 2)]
    assert chances[0].sum(axis=1) == pytest.approx(1)


def test_a_head_sees_the_columns_of_its_modality_only(several):
    model, X, _ = several
    changed = X.copy()
    changed[:, 2] += 5
    before, after = model.predict_proba(X), model.predict_proba(changed)
    assert (before[0] == after[0]).all()
    assert (before[1] != after[1]).any()


def test_classes_come_back_as_they_were_given():
    X, _, _ = table(60)
    y = np.where(X[:, 0] > 0, 7, 3)
    model = MultiTaskModel(config=QUICK).fit(X, y)
    assert model.classes_.tolist() == [3, 7]
    assert model.score(X, y) > 0.9
    assert set(model.predict(X).tolist()) == {3, 7}
    assert model.predict_members(X).shape == (2, 60, 2)
    assert model.predict_members(X).mean(axis=0) == pytest.approx(model.predict_proba(X), abs=1e-6)


def test_numbers_with_decimals_are_a_scale_and_have_a_spread_but_no_classes():
    X, _, tone = table(60)
    model = MultiTaskModel(config=QUICK).fit(X, tone)
    said, spread = model.predict(X, return_std=True)
    assert model.score(X, tone) > 0.7
    assert said.shape == spread.shape == (60,)
    assert not hasattr(model, "predict_proba")


def test_a_clone_with_the_same_seed_says_the_same():
    X, mood, _ = table(40)
    model = MultiTaskModel(config=QUICK, seed=3)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert (model.fit(X, mood).predict_proba(X) == twin.fit(X, mood).predict_proba(X)).all()


@pytest.mark.filterwarnings("ignore:'force_all_finite' was renamed:FutureWarning")
def test_modal_teaches_our_model_by_our_strategy_on_its_members():
    from modAL.models import ActiveLearner

    X, mood, _ = table(60)
    learner = ActiveLearner(
        MultiTaskModel(config=QUICK), query_strategy=as_modal("bald"), X_training=X[:8], y_training=mood[:8]
    )
    chosen, rows = learner.query(X[8:], n_instances=4)
    assert len(set(chosen.tolist())) == 4
    learner.teach(rows, mood[8:][chosen])
    assert learner.X_training.shape == (12, 3)
    assert learner.score(X, mood) > 0.6


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.array(["good", "bad", "so-so", "bad", "good"]), "'so-so' is not an answer of mood.T"),
        (np.array(["good"] * 5), "cannot be learned"),
        (np.array([["good", 1.0]] * 5, dtype=object), "2 columns for 1 tasks"),
    ],
)
def test_labels_that_cannot_be_learned_are_an_error(y, said):
    with pytest.raises(ModelError, match=said) as caught:
        MultiTaskModel([MOOD], config=QUICK).fit(table(5)[0], y)
    assert caught.value.hint


def test_nothing_is_said_before_fit_nor_of_another_table(several):
    with pytest.raises(NotFittedError):
        MultiTaskModel().predict(table(3)[0])
    with pytest.raises(ModelError, match="2 columns"):
        several[0].predict(np.zeros((3, 2)))
