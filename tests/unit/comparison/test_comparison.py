"""Folds, scores, the bootstrap over groups and what is concluded from it."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from annotate.comparison.crossval import (
    EvaluationSet,
    FoldResult,
    grouped_folds,
    other_scores,
    read_result,
    truths,
    write_result,
)
from annotate.comparison.estimates import Estimate, Verdict, choose, judge, level_of_one, mean
from annotate.errors import ModelError, UsageError
from annotate.types import Label, Modality, Task
from tests.support import dimensions

SENTIMENT = Task(dimensions.SENTIMENT, Modality.TEXT)
EMOTION = Task(dimensions.EMOTION, Modality.AUDIO)
THEMES = Task(dimensions.multilabel("themes", "work", "family"), Modality.MULTIMODAL)


def evaluation(groups=8, each=6, gaps=0.0, seed=0):
    rng = np.random.default_rng(seed)
    n = groups * each
    ids = tuple(f"{i:03d}" for i in range(n))
    labels = {}
    for i in ids:
        said = {
            SENTIMENT: float(rng.normal()),
            EMOTION: str(rng.choice(["angry", "happy", "sad"])),
            THEMES: THEMES.dimension.joined([t for t in ("work", "family") if rng.random() < 0.5]),
        }
        for task, value in said.items():
            if rng.random() >= gaps:
                labels[i, task.id] = Label(i, task.id, value, {}, 1)
    names = np.array([f"s{k % groups}" for k in range(n)])
    return EvaluationSet((SENTIMENT, EMOTION, THEMES), ids, names, labels)


def right(found, fold):
    """What is true, where there is a label, and filler elsewhere."""
    answers = {}
    for task in found.tasks:
        rows = []
        for i in fold.held_out:
            label = found.labels.get((i, task.id))
            filler = [0.0, 0.0] if task is THEMES else 0.0
            rows.append(filler if label is None else truths(task, [label])[0])
        answers[task.id] = np.array(rows, float)
    return answers


def noisy(found, fold, noise, seed):
    rng = np.random.default_rng([seed, fold.seed, fold.number])
    answers = right(found, fold)
    answers[SENTIMENT.id] = answers[SENTIMENT.id] + noise * rng.normal(size=len(fold.held_out))
    return FoldResult({SENTIMENT.id: answers[SENTIMENT.id]}, 10, 0.0)


# -- who is trained on what -----------------------------------------------------------------------


def test_no_group_is_in_two_parts_of_a_trial_and_every_sample_is_held_out_once_per_seed():
    found = evaluation(groups=11, each=7)
    of = dict(zip(found.ids, found.groups, strict=True))
    folds = found.split(5, [0, 1])
    assert len(folds) == 10
    for fold in folds:
        parts = [{of[i] for i in part} for part in (fold.train, fold.valid, fold.held_out)]
        assert sum(len(part) for part in parts) == 11
        assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
        assert 0 < len(fold.valid) <= 0.3 * (77 - len(fold.held_out))
    for seed in (0, 1):
        held = [i for fold in folds if fold.seed == seed for i in fold.held_out]
        assert sorted(held) == list(found.ids)
    assert folds == found.split(5, [0, 1])
    assert [t.held_out for t in folds[:5]] != [t.held_out for t in folds[5:]]


def test_too_few_valid_samples_are_trained_on_instead():
    assert all(fold.valid == () for fold in evaluation(groups=6, each=2).split(3, [0]))


def test_fewer_groups_than_folds_make_fewer_folds_and_one_group_none():
    assert len(evaluation(groups=3).split(5, [0])) == 3
    with pytest.raises(ModelError, match="one group") as raised:
        evaluation(groups=1).split(5, [0])
    assert "another speaker" in raised.value.hint
    with pytest.raises(UsageError):
        grouped_folds(np.array(["a", "b"]), 3, np.random.default_rng(0))


# -- scores ---------------------------------------------------------------------------------------


def test_figures_are_the_scores_that_others_compute():
    found = evaluation(gaps=0.2)
    folds = found.split(4, [3])
    rng = np.random.default_rng(0)
    results = []
    for fold in folds:
        answers = right(found, fold)
        answers[SENTIMENT.id] = answers[SENTIMENT.id] + rng.normal(size=len(fold.held_out))
        answers[EMOTION.id] = rng.integers(0, 3, len(fold.held_out)).astype(float)
        answers[THEMES.id] = rng.integers(0, 2, (len(fold.held_out), 2)).astype(float)
        results.append(FoldResult(answers, 1, 0.0))
    estimates = found.estimates(folds, results, found.draws(rng, 50))
    said, truth = {t.id: [] for t in found.tasks}, {t.id: [] for t in found.tasks}
    for fold, result in zip(folds, results, strict=True):
        correct = right(found, fold)
        for task in found.tasks:
            known = [(i, task.id) in found.labels for i in fold.held_out]
            centre = 1.0 if task is SENTIMENT else 0.0
            for into, values in ((said, result.answers[task.id][known]), (truth, correct[task.id][known])):
                into[task.id].append(values - centre * values.mean(axis=0))
    s, t = ({k: np.concatenate(v) for k, v in part.items()} for part in (said, truth))
    assert estimates[SENTIMENT.id].value == pytest.approx(
        100 * np.corrcoef(s[SENTIMENT.id], t[SENTIMENT.id])[0, 1]
    )
    assert estimates[EMOTION.id].value == pytest.approx(100 * np.mean(s[EMOTION.id] == t[EMOTION.id]))
    assert estimates[THEMES.id].value == pytest.approx(
        100 * f1_score(t[THEMES.id], s[THEMES.id], average="micro")
    )
    others = other_scores(found, folds, results)
    assert others[EMOTION.id]["Acc"] == pytest.approx(estimates[EMOTION.id].value / 100)
    assert set(others[THEMES.id]) >= {"Acc-subset", "F1-macro"}


def test_each_draw_is_the_score_of_the_groups_drawn():
    found = evaluation(groups=4, each=5)
    folds = found.split(2, [0])
    results = [noisy(found, fold, 1.0, 0) for fold in folds]
    draws = np.array([[2.0, 0, 1, 1], [0, 2, 0, 2]])
    estimate = found.estimates(folds, results, draws)[SENTIMENT.id]
    names = np.unique(found.groups)
    for k, weights in enumerate(draws):
        xs, ys = [], []
        for fold, result in zip(folds, results, strict=True):
            at = {i: r for r, i in enumerate(fold.held_out)}
            x, y = [], []
            for name, times in zip(names, weights, strict=True):
                for i in np.array(found.ids)[found.groups == name]:
                    if i in at:
                        x += [result.answers[SENTIMENT.id][at[i]]] * int(times)
                        y += [found.labels[i, SENTIMENT.id].value] * int(times)
            xs += list(np.array(x) - np.mean(x)) if x else []
            ys += list(np.array(y) - np.mean(y)) if y else []
        assert estimate.draws[k] == pytest.approx(100 * np.corrcoef(xs, ys)[0, 1])


def test_saying_the_mean_of_the_train_labels_is_worth_nothing_rather_than_less():
    found = evaluation()
    folds = found.split(4, [0])
    results = []
    for fold in folds:
        constant = np.mean([found.labels[i, SENTIMENT.id].value for i in fold.train])
        results.append(FoldResult({SENTIMENT.id: np.full(len(fold.held_out), constant)}, 1, 0.0))
    estimate = found.estimates(folds, results, found.draws(np.random.default_rng(0), 20))[SENTIMENT.id]
    assert estimate.value == 0 and (estimate.draws == 0).all()


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(40):
        found = evaluation(groups=30, each=4, seed=seed)
        folds = found.split(5, [0])
        estimate = found.estimates(
            folds,
            [noisy(found, t, 1.0, seed) for t in folds],
            found.draws(np.random.default_rng(seed), 400),
        )[SENTIMENT.id]
        low, high = estimate.interval()
        hits += low <= 100 / np.sqrt(2) <= high
    assert hits >= 33


def test_the_same_draws_make_a_difference_far_narrower_than_its_parts():
    found = evaluation(groups=12, each=5)
    folds, draws = found.split(4, [0]), found.draws(np.random.default_rng(0))
    one = found.estimates(folds, [noisy(found, t, 1.0, 5) for t in folds], draws)[SENTIMENT.id]
    same = found.estimates(folds, [noisy(found, t, 1.02, 5) for t in folds], draws)[SENTIMENT.id]
    width = np.diff((one - same).interval())[0]
    assert width < 0.2 * np.diff(one.interval())[0]
    assert judge(one - same) is Verdict.BETTER


# -- conclusions ----------------------------------------------------------------------------------


def around(value, spread=1.0, seed=0):
    return Estimate(value, value + spread * np.random.default_rng(seed).normal(size=2000))


def test_a_difference_is_level_when_its_interval_holds_zero():
    assert judge(around(3.0)) is Verdict.BETTER
    assert judge(around(-3.0)) is Verdict.WORSE
    assert judge(around(1.0)) is Verdict.LEVEL


def test_more_variants_need_a_clearer_difference():
    assert level_of_one(1) == 0.95
    assert level_of_one(10) == pytest.approx(0.995)
    assert judge(around(2.3)) is Verdict.BETTER
    assert judge(around(2.3), level_of_one(10)) is Verdict.LEVEL


def test_the_winner_is_the_best_unless_the_present_one_is_level_with_it():
    sizes = {"present": 50, "a": 100, "b": 20}
    far = {"present": around(50, seed=1), "a": around(60, seed=2), "b": around(55, seed=3)}
    assert choose(far, sizes, "present") == "a"
    near = {**far, "present": around(59, seed=1)}
    assert choose(near, sizes, "present") == "present"


def test_of_variants_level_with_the_best_the_smallest_wins_but_never_one_below_the_present():
    sizes = {"present": 50, "a": 100, "b": 20, "c": 10}
    found = {
        "present": around(50, 0.5, 1),
        "a": around(60, 3, 2),
        "b": around(59, 3, 3),
        "c": Estimate(49.0, 49 + 40 * np.random.default_rng(4).normal(size=2000)),
    }
    assert choose(found, sizes, "present") == "b"


def test_the_mean_of_figures_is_taken_draw_by_draw():
    one, two = around(1.0, seed=1), around(3.0, seed=2)
    both = mean([one, two])
    assert both.value == 2.0
    assert np.allclose(both.draws, (one.draws + two.draws) / 2)


# -- results on the disk ----------------------------------------------------------------------------


def test_a_cell_comes_back_as_it_was_and_a_damaged_one_is_none(tmp_path):
    result = FoldResult({"a.T": np.array([0.1, -1 / 3]), "b.M": np.array([[1.0, 0.0]])}, 7, 1.5)
    path = tmp_path / "deep" / "result.json"
    assert read_result(path) is None
    write_result(result, path)
    back = read_result(path)
    assert back is not None and (back.parameters, back.seconds) == (7, 1.5)
    assert all(np.array_equal(back.answers[k], result.answers[k]) for k in result.answers)
    path.write_text(path.read_text()[:-5])
    assert read_result(path) is None
    path.write_text(json.dumps([1]))
    assert read_result(path) is None
