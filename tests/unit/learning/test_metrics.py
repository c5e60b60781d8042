"""The scores are those of the MMSA framework, and a degenerate case gives fewer scores, never a NaN."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from annotate.learning.metrics import (
    concordance,
    confidence_error,
    constant_scores,
    coverage_error,
    main_score,
    scores,
    scores_of,
)
from annotate.types import Answer, Dimension, Kind, Label, Modality, Task, TaskPrediction
from tests.support import dimensions


def _task(*values: float | str) -> Task:
    kind = Kind.CLASSIFICATION if isinstance(values[0], str) else Kind.REGRESSION
    return Task(Dimension("d", kind, tuple(Answer(v, str(v)) for v in values)), Modality.TEXT)


SIMS, MOSI, OTHER = _task(-1.0, 0.0, 1.0), _task(-3.0, 0.0, 3.0), _task(1.0, 2.0, 7.0)
THEMES = Task(dimensions.THEMES, Modality.TEXT)
CLASSES = _task("angry", "happy", "sad")
EMOTIONS = _task("calm", "happy", "sad")


def _float32(values):
    return np.array(values, np.float32)


def test_sims_bins_hold_their_upper_border_and_zero_is_negative():
    # truth falls in Acc-5 bins 0, 0, 1, 2, 2, 3, 4; Acc-2 bins 0, 0, 0, 0, 1, 1, 1
    truth = _float32([-1.0, -0.7, -0.1, 0.0, 0.1, 0.7, 1.0])
    predicted = _float32([-0.7, -0.6, -0.7, 0.1, 0.0, 0.8, 2.0])
    found = scores(SIMS, predicted, truth)
    assert found["n"] == 7
    assert found["Acc-2"] == pytest.approx(5 / 7)  # 0.0 -> 0.1 and 0.1 -> 0.0 cross the border
    assert found["Acc-3"] == pytest.approx(7 / 7)
    assert found["Acc-5"] == pytest.approx(4 / 7)  # -0.7 -> -0.6, -0.1 -> -0.7 and 0.7 -> 0.8 are wrong
    assert found["MAE"] == pytest.approx((0.3 + 0.1 + 0.6 + 0.1 + 0.1 + 0.1 + 0.0) / 7, abs=1e-6)
    # Per class: negative 3 of 4, positive 2 of 3; both precisions and recalls equal that.
    assert found["F1"] == pytest.approx((4 * 0.75 + 3 * 2 / 3) / 7)


def test_mosi_has0_counts_zero_as_positive_and_non0_leaves_it_out():
    truth = _float32([-2.0, -1.0, 0.0, 0.0, 1.0, 3.0])
    predicted = _float32([-1.0, 0.5, 0.2, -0.2, 0.4, 4.0])
    found = scores(MOSI, predicted, truth)
    assert found["Has0 Acc-2"] == pytest.approx(4 / 6)  # 0.5 for -1 and -0.2 for 0 are wrong
    assert found["Non0 Acc-2"] == pytest.approx(3 / 4)
    # Rounded half to even: -1 0 0 0 0 4 -> cut to 3 (Acc-7) and 2 (Acc-5) on both sides.
    assert found["Acc-7"] == pytest.approx(3 / 6)
    assert found["Acc-5"] == pytest.approx(3 / 6)
    assert found["MAE"] == pytest.approx((1 + 1.5 + 0.2 + 0.2 + 0.6 + 1) / 6)
    assert found["Non0 F1"] == pytest.approx((2 * (2 / 3) + 2 * 0.8) / 4)


def test_classification_by_hand():
    found = scores(CLASSES, _float32([0, 0, 1, 2]), _float32([0, 1, 1, 1]))
    assert found["Acc"] == 0.5
    # F1 per class: angry 2/3, happy 1/2, sad 0
    assert found["F1-macro"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found["F1"] == pytest.approx((1 * 2 / 3 + 3 * 1 / 2) / 4)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 4), (2, 3)])
def test_ticks_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="are not"):
        scores(THEMES, np.zeros(shape, bool), np.zeros((3, 3), bool))
    with pytest.raises(ValueError, match="are not"):
        scores(THEMES, np.zeros((3, 3), bool), np.zeros(shape, bool))


def test_multilabel_by_hand():
    truth = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]], bool)
    predicted = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0]], bool)
    found = scores(THEMES, predicted, truth)
    # Right sets: the second (empty is a set) and the fourth. Work: 2 of 2; family: 1 hit, 2 said, 2 true.
    assert found == {
        "n": 4,
        "Acc-subset": 0.5,
        "F1-micro": pytest.approx(2 * 3 / (4 + 4)),
        "F1-macro": pytest.approx((1 + 2 / 4) / 2),  # money occurs on neither side
    }


@pytest.mark.parametrize(
    ("task", "probs", "mean", "values", "expected"),
    [
        (OTHER, [[0, 0, 1]] * 3, [2.0, 3.0, 7.0], [1.0, 3.0, 7.0], {"MAE": 1 / 3}),
        (CLASSES, [[0, 1, 0]] * 3, [1, 1, 2], ["happy", "sad", "sad"], {"Acc": 2 / 3}),
        (THEMES, [[0.9, 0.2, 0.5], [0.1, 0.1, 0.1], [0.1, 0.6, 0.1]], [2, 0, 1], ["work|money", "", "work"],
         {"Acc-subset": 2 / 3, "F1-micro": 2 * 2 / (3 + 3)}),
    ],
)  # fmt: skip
def test_predictions_are_scored_against_labels_of_their_kind(task, probs, mean, values, expected):
    zero = np.zeros(3, np.float32)
    prediction = TaskPrediction(task, _float32([probs]), _float32(mean), zero, zero)
    labels = [Label(str(i), task.id, value, {}, 1) for i, value in enumerate(values)]
    found = scores_of(prediction, labels)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert scores_of(prediction.of([2, 0]), [labels[2], labels[0]])["n"] == 2
    assert scores_of(prediction.of([]), []) == {"n": 0}


def test_where_nothing_is_ticked_there_is_no_f1():
    nothing = np.zeros((3, 3), bool)
    assert scores(THEMES, nothing, nothing) == {"n": 3, "Acc-subset": 1.0}
    assert scores(THEMES, nothing[:0], nothing[:0]) == {"n": 0}


@given(st.integers(1, 20), st.integers(0, 10_000), st.sampled_from([0.05, 0.4, 1.0]))
def test_multilabel_scores_equal_those_of_scikit_learn(n, seed, share):
    rng = np.random.default_rng(seed)
    predicted, truth = rng.random((2, n, 3)) < share
    found = scores(THEMES, predicted, truth)
    assert found["Acc-subset"] == pytest.approx(accuracy_score(truth, predicted))
    occurs = (predicted | truth).any(axis=0)
    if occurs.any():
        each = f1_score(truth, predicted, average=None, zero_division=0)
        assert found["F1-micro"] == pytest.approx(f1_score(truth, predicted, average="micro"))
        assert found["F1-macro"] == pytest.approx(each[occurs].mean())


def test_another_scale_gets_explained_variance():
    found = scores(OTHER, _float32([1, 3, 5]), _float32([1, 3, 6]))
    assert set(found) == {"n", "MAE", "Corr", "CCC", "R2"}
    assert found["R2"] == pytest.approx(1 - 1 / (38 / 3))


# By hand: means 2 and 3, variances 2/3 and 2/3, covariance 2/3: 2 * 2/3 / (2/3 + 2/3 + 1) = 4/7.
# By hand: means 2 and 4, variances 2/3 and 8/3, covariance 4/3: 8/3 / (10/3 + 4) = 4/11.
@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        ([1, 2, 3], [1, 2, 3], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 2, 3], [2, 3, 4], 4 / 7),
        ([1, 2, 3], [2, 4, 6], 4 / 11),
        ([2, 2, 2], [1, 2, 3], 0.0),
        ([2], [3], 0.0),
    ],
)
def test_concordance_equals_values_computed_by_hand(predicted, truth, expected):
    found = scores(OTHER, _float32(predicted), _float32(truth))
    assert found["CCC"] == pytest.approx(expected)
    assert concordance(_float32(predicted), _float32(truth)) == pytest.approx(expected)


def test_two_equal_constants_have_no_concordance():
    assert concordance(_float32([2, 2]), _float32([2, 2])) is None
    assert "CCC" not in scores(OTHER, _float32([2, 2]), _float32([2, 2]))


@pytest.mark.parametrize("task", [SIMS, MOSI, OTHER])
def test_every_regression_scale_has_concordance_and_classes_have_none(task):
    assert "CCC" in scores(task, _float32([0, 0.5, -0.5]), _float32([0.1, 0.4, -0.2]))
    assert "CCC" not in scores(CLASSES, _float32([0, 1]), _float32([0, 1]))


def test_what_a_task_is_judged_by_is_zero_where_it_is_undefined():
    assert main_score(OTHER, {"Corr": 0.5, "MAE": 1.0}) == 0.5
    assert main_score(OTHER, {"n": 3}) == 0.0


def test_a_task_that_is_not_known_is_answered_by_its_most_frequent_label():
    task = EMOTIONS
    labels = [Label(str(i), task.id, v, {v: 1.0}, 1) for i, v in enumerate(("sad", "sad", "calm", "happy"))]
    assert constant_scores(task, labels[:3], labels) == {"n": 4, "Acc": 0.5}
    assert constant_scores(task, [], labels) == {"n": 4, "Acc": 0.0}


def test_several_answers_that_are_not_known_score_by_their_ticks_as_the_model_does():
    task = replace(EMOTIONS, dimension=replace(EMOTIONS.dimension, kind=Kind.MULTILABEL))
    some = ("happy|sad", "happy|sad", "happy", "")
    labels = [Label(str(i), task.id, v, {}, 1) for i, v in enumerate(some)]
    assert constant_scores(task, labels, labels) == {"n": 4, "F1-micro": pytest.approx(2 * 5 / (8 + 5))}
    assert constant_scores(task, labels[3:], labels) == {"n": 4, "F1-micro": 0.0}
    assert constant_scores(task, labels[3:], labels[3:]) == {"n": 1, "F1-micro": 0.0}


@pytest.mark.parametrize("task", [SIMS, MOSI, OTHER, CLASSES])
@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_degenerate_cases_leave_out_what_is_undefined(task, n):
    found = scores(task, np.zeros(n, np.float32), np.zeros(n, np.float32))
    assert found["n"] == n
    assert "Corr" not in found
    assert "R2" not in found
    assert all(np.isfinite(value) for value in found.values())


def _weighted_f1(predicted, truth):
    """F1 per class from counts, weighted by how often the class is true."""
    frame = pd.DataFrame({"p": np.asarray(predicted, float), "t": np.asarray(truth, float)})
    total = 0.0
    for value, count in frame.t.value_counts().items():
        hits = ((frame.p == value) & (frame.t == value)).sum()
        total += count * 2 * hits / ((frame.p == value).sum() + count)
    return total / len(frame)


fifths = st.integers(-10, 10).map(lambda i: i / 10)
pairs = st.lists(st.tuples(fifths, st.floats(-1.5, 1.5, width=32)), min_size=1, max_size=40)


@given(pairs)
def test_sims_scores_equal_an_independent_count(rows):
    truth, predicted = (_float32(column) for column in zip(*rows, strict=True))
    found = scores(SIMS, predicted, truth)
    cut = {}
    for name, borders in {
        "Acc-2": [0.0], "Acc-3": [-0.1, 0.1], "Acc-5": [-0.7, -0.1, 0.1, 0.7],
    }.items():  # fmt: skip
        edges = np.array([-1.01, *borders, 1.01], np.float32)
        p, t = (
            pd.cut(np.clip(values, -1, 1), edges, right=True, labels=False) for values in (predicted, truth)
        )
        cut[name] = (p, t)
        assert found[name] == pytest.approx((p == t).mean())
    assert found["F1"] == pytest.approx(_weighted_f1(*cut["Acc-2"]))
    assert found["MAE"] == pytest.approx(
        np.abs(np.clip(predicted, -1, 1).astype(float) - truth).mean(), abs=1e-6
    )


@given(pairs)
def test_mosi_scores_equal_an_independent_count(rows):
    truth, predicted = (3 * _float32(column) for column in zip(*rows, strict=True))
    found = scores(MOSI, predicted, truth)
    frame = pd.DataFrame({"p": predicted, "t": truth})
    assert found["Has0 Acc-2"] == pytest.approx(((frame.p >= 0) == (frame.t >= 0)).mean())
    assert found["Has0 F1"] == pytest.approx(_weighted_f1(frame.p >= 0, frame.t >= 0))
    charged = frame[frame.t != 0]
    if len(charged):
        assert found["Non0 Acc-2"] == pytest.approx(((charged.p > 0) == (charged.t > 0)).mean())
        assert found["Non0 F1"] == pytest.approx(_weighted_f1(charged.p > 0, charged.t > 0))
    else:
        assert "Non0 F1" not in found
    assert found["Acc-7"] == pytest.approx((frame.p.clip(-3, 3).round() == frame.t.round()).mean())
    assert found["Acc-5"] == pytest.approx(
        (frame.p.clip(-2, 2).round() == frame.t.clip(-2, 2).round()).mean()
    )


# -- calibration ----------------------------------------------------------------------------------


def test_confidence_is_compared_with_the_share_right_bin_by_bin():
    # Bins of 1/15: .9 and .92 in the 14th, .6 in the 9th (its upper border), .62 in the 10th.
    confidence = np.array([0.9, 0.92, 0.6, 0.62], np.float32)
    right = np.array([True, False, False, True])
    # |.9 + .92 - 1|, |.6 - 0|, |.62 - 1|, over 4
    assert confidence_error(confidence, right) == pytest.approx((0.82 + 0.6 + 0.38) / 4, abs=1e-6)
    assert confidence_error(np.array([0.0, 1.0]), np.array([False, True])) == 0


def test_quantiles_are_compared_with_the_labels_below_them():
    # Labels at the median, far below and far above: below the level p lies a third; from .5 on, half counted
    # at .5 itself, two thirds.
    mean, spread, truth = np.zeros(3), np.ones(3), np.array([0.0, -9.0, 9.0])
    levels = np.arange(1, 20) / 20
    share = np.where(levels < 0.499, 1 / 3, np.where(levels > 0.501, 2 / 3, 1 / 2))
    assert coverage_error(mean, spread, truth) == pytest.approx(np.abs(share - levels).mean())


def test_true_probabilities_are_calibrated_and_others_not():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    exact, bold, biased = (
        coverage_error(np.full(4000, m), np.full(4000, s), truth) for m, s in ((0, 1), (0, 0.3), (1, 1))
    )
    assert exact < 0.02 < 0.1 < bold and biased > 0.1
    sure = rng.uniform(0.4, 1, 4000)
    right = rng.random(4000) < sure
    assert confidence_error(sure, right) < 0.05 < 0.2 < confidence_error(sure, rng.random(4000) < sure - 0.3)


@pytest.mark.parametrize(
    ("task", "probs", "mean", "values", "expected"),
    [
        # .8 right, .8 wrong, .5 right (the first of equals)
        (CLASSES, [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.5, 0.5, 0]], [0, 1, 0], ["angry", "sad", "angry"],
         (abs(1.6 - 1) + 0.5) / 3),
        # Nine answers: .9 seven times of which one is wrong, .6 right, .5 (ticked) wrong
        (THEMES, [[0.9, 0.1, 0.1], [0.1, 0.1, 0.6], [0.9, 0.1, 0.5]], [1, 1, 2],
         ["work", "money", "family|work"], (abs(6.3 - 6) + 0.4 + 0.5) / 9),
        # Standard deviation .5 = sqrt(.3² + .4²), labels at the mean: at every level below .5 none, then all
        (OTHER, [[0, 0, 1]] * 2, [2.0, 3.0], [2.0, 3.0], 2 * sum(range(1, 10)) / 20 / 19),
    ],
)  # fmt: skip
def test_every_kind_of_task_has_its_calibration_error(task, probs, mean, values, expected):
    n = len(values)
    prediction = TaskPrediction(
        task, _float32([probs]), _float32(mean), np.full(n, 0.3, np.float32), np.full(n, 0.4, np.float32)
    )
    labels = [Label(str(i), task.id, value, {}, 1) for i, value in enumerate(values)]
    assert scores_of(prediction, labels)["ece"] == pytest.approx(expected, abs=1e-6)
