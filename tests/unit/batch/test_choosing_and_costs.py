"""What questions cost, which are worth it, and how a budget is spent."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from annotate.batch.costs import LeadTime, PassCost, learn
from annotate.batch.knapsack import Offer, bundles, fill_budget
from annotate.batch.opening import make_strategy
from annotate.batch.questions import Budget, QuestionCosts, choose_questions, expected_gain
from annotate.batch.request import read_budget
from annotate.errors import AnnotateError, ConfigError, UnknownName, UsageError
from annotate.types import Modality, Task, TaskPrediction
from tests.support.dimensions import SENTIMENT
from tests.support.pools import EMOTION, make_pool

T, A, V, M = Modality
PRIOR = {m: PassCost(6.0, 1.0) for m in Modality}


def offer(gain, seconds, free=None) -> Offer:
    gain = np.asarray(gain, dtype=float)
    free = np.ones(gain.shape, dtype=bool) if free is None else np.asarray(free)
    return Offer((T, A, V, M), free, gain, np.broadcast_to(np.asarray(seconds, float), gain.shape))


def allowed(passes: tuple[Modality, ...], free: tuple[Modality, ...]) -> bool:
    """M only together with whatever else is free."""
    return M not in passes or set(passes) >= set(free)


def test_steps_of_a_sample_are_the_best_for_every_time_that_they_reach():
    rng = np.random.default_rng(0)
    for _ in range(200):
        free = rng.random((1, 4)) < 0.8
        made = offer(rng.exponential(size=(1, 4)), rng.uniform(1, 9, (1, 4)), free)
        passes = tuple(p for p, is_free in zip(made.passes, free[0], strict=True) if is_free)
        total = {p: (made.gain[0, i], made.seconds[0, i]) for i, p in enumerate(made.passes)}
        found = bundles(made)
        assert [s.density for s in found] == sorted((s.density for s in found), reverse=True)
        assert sorted(p for s in found for p in s.passes) == sorted(passes)
        spent, gained, taken = 0.0, 0.0, ()
        for step in found:
            spent, gained, taken = (
                spent + step.seconds,
                gained + step.density * step.seconds,
                taken + step.passes,
            )
            assert allowed(taken, passes)
            for size in range(1, 5):
                for others in combinations(passes, size):
                    cost, value = (sum(total[p][k] for p in others) for k in (1, 0))
                    if allowed(others, passes) and cost <= spent + 1e-9:
                        assert value <= gained + 1e-9


def test_the_multimodal_question_waits_for_the_others_however_much_it_tells():
    (alone,) = bundles(offer([[1, 1, 1, 90.0]], 10, [[True, True, True, True]]))
    assert alone.passes == (T, A, V, M)
    (last,) = bundles(offer([[0, 0, 0, 1.0]], 10, [[False, False, False, True]]))
    assert last.passes == (M,)
    dull = bundles(offer([[3, 2, 1, 0.5]], 10))
    assert [s.passes for s in dull] == [(T,), (A,), (V,), (M,)]


@pytest.mark.parametrize(("questions", "seconds"), [(7, None), (None, 100.0), (5, 30.0), (0, None)])
def test_the_budget_is_kept_and_nothing_is_asked_twice_or_before_its_time(questions, seconds):
    rng = np.random.default_rng(1)
    for seed in range(30):
        made = offer(rng.exponential(size=(9, 4)), rng.uniform(1, 9, (9, 4)), rng.random((9, 4)) < 0.7)
        taken = fill_budget(bundles(made), np.random.default_rng(seed), questions=questions, seconds=seconds)
        asked = [(s.row, p) for s in taken for p in s.passes]
        assert len(set(asked)) == len(asked)
        assert questions is None or len(asked) <= questions
        assert seconds is None or sum(s.seconds for s in taken) <= seconds
        for row in {s.row for s in taken}:
            mine = [p for r, p in asked if r == row]
            free = [p for c, p in enumerate(made.passes) if made.free[row, c]]
            assert allowed(tuple(mine), tuple(free))


def test_questions_are_drawn_in_proportion_to_what_they_tell_per_second():
    made = offer(
        [[3.0, 1.0, 0, 0]] * 2, [1, 1, 1, 1], [[True, False, False, False], [False, True, False, False]]
    )
    first = [
        fill_budget(bundles(made), np.random.default_rng(s), questions=1, seconds=None)[0].row
        for s in range(2000)
    ]
    # Binomial with p = 3/4: 0.75 +- 0.01.
    assert np.mean(np.array(first) == 0) == pytest.approx(0.75, abs=0.04)


def test_costs_are_those_of_the_settings_until_somebody_answers_and_then_what_raters_took():
    assert learn(PRIOR, []) == PRIOR
    rng = np.random.default_rng(0)
    truth = {T: PassCost(3.0, 0.5), A: PassCost(5.0, 1.5), V: PassCost(9.0, 0.0), M: PassCost(12.0, 2.0)}
    told = []
    for modality, cost in truth.items():
        for length in rng.uniform(1, 10, 300):
            seconds = (cost.fixed + cost.rate * length) * rng.lognormal(-0.045, 0.3)
            # One in twenty goes for coffee.
            told.append(
                LeadTime(modality, length, seconds * (rng.uniform(20, 99) if rng.random() < 0.05 else 1))
            )
    found = learn(PRIOR, told)
    lengths = np.array([1.0, 5.0, 10.0])
    for modality, cost in truth.items():
        assert found[modality].of(lengths) == pytest.approx(cost.of(lengths), rel=0.1)


def test_nonsense_from_the_server_is_no_cost():
    told = [LeadTime(T, 3.0, s) for s in (np.nan, np.inf, -4.0, 0.0)] + [LeadTime(T, np.nan, 5.0)]
    assert learn(PRIOR, told) == PRIOR
    falling = [LeadTime(T, length, 50 - 4 * length) for length in np.linspace(1, 10, 99)]
    assert (learn(PRIOR, falling)[T].of(np.array([0.0, 100.0])) > 0).all()


def test_the_expected_gain_is_that_of_the_tasks_of_a_pass_and_nothing_where_the_label_is_known():
    pool = make_pool(n=30, share_missing=0.5)
    found = expected_gain(pool, tuple(Modality))
    scores = make_strategy("variance-reduction").task_scores(pool)
    for column, modality in enumerate(Modality):
        own = [np.nan_to_num(values) for t, values in scores.items() if t.endswith(f".{modality}")]
        assert found[:, column] == pytest.approx(np.sum(own, axis=0))


def test_asking_takes_only_what_is_free_and_stays_within_the_budget():
    pool = make_pool(n=40, dimensions=(SENTIMENT,))
    free = np.random.default_rng(0).random((40, 4)) < 0.5
    prices = QuestionCosts(tuple(Modality), free, np.full((40, 4), 10.0))
    for name in ("uniform", "entropy", "k-center"):
        taken = choose_questions(
            make_strategy(name), name, pool, prices, Budget(questions=12), np.random.default_rng(0)
        )
        asked = [(s.row, prices.passes.index(p)) for s in taken for p in s.passes]
        assert 10 <= len(asked) <= 12
        assert all(free[row, column] for row, column in asked)
        again = choose_questions(
            make_strategy(name), name, pool, prices, Budget(questions=12), np.random.default_rng(0)
        )
        assert again == taken


@pytest.mark.parametrize("budget", [Budget(questions=3), Budget(seconds=180.0)])
def test_no_question_is_chosen_when_the_uniform_draws_left_no_sample(budget):
    pool = make_pool(n=4, dimensions=(SENTIMENT,)).of(np.arange(0))
    costs = QuestionCosts(tuple(Modality), np.ones((0, 4), bool), np.zeros((0, 4)))
    rng = np.random.default_rng(0)
    assert choose_questions(make_strategy("entropy"), "entropy", pool, costs, budget, rng) == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("0.5h", 1800)]
)
def test_a_budget_is_read_as_people_write_it(text, seconds):
    assert read_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "0h", "h", "-1h", "two hours", "1h x"])
def test_a_budget_that_is_no_time_is_a_usage_error(text):
    with pytest.raises(UsageError) as caught:
        read_budget(text)
    assert "--budget 2h" in caught.value.hint


def test_what_follows_a_colon_must_mean_something():
    with pytest.raises(ConfigError, match="wraps no other"):
        make_strategy("k-center:bald")
    with pytest.raises(UnknownName):
        make_strategy("bold")
    with pytest.raises(AnnotateError, match="combined by 'men'"):
        make_strategy("entropy", {"entropy": {"combine": "men"}})
    with pytest.raises(ConfigError, match="has no option 'comb'"):
        make_strategy("entropy", {"entropy": {"comb": "mean"}})


def test_the_error_that_an_answer_takes_away_is_that_of_a_normal_answer():
    task = Task(SENTIMENT, T)
    members = np.full((2, 3, 3), 1 / 3, np.float32)
    epistemic, noise = np.array([0.5, 0.5, 0.1], np.float32), np.array([0.5, 5.0, 0.001], np.float32)
    said = TaskPrediction(task, members, np.zeros(3, np.float32), epistemic, noise)
    scores = make_strategy("variance-reduction").score(said, make_pool(n=3))
    # Posterior variance of a normal: s² n² / (s² + n²). The scale is 2 wide, so half of it is 1.
    s2, n2 = epistemic.astype(float) ** 2, np.maximum(noise.astype(float), 0.002) ** 2
    assert scores == pytest.approx(s2 - s2 * n2 / (s2 + n2), rel=1e-5)
    assert scores[0] > scores[2] > scores[1]  # what cannot be learned is worth least


def test_the_error_that_an_answer_takes_away_from_classes_is_that_of_the_brier_score():
    torn = np.array([[[0.9, 0.1, 0, 0]], [[0.1, 0.9, 0, 0]]], np.float32)
    doubtful = np.full((2, 1, 4), 0.25, np.float32)
    zero = np.zeros(1, np.float32)
    strategy = make_strategy("variance-reduction")
    first, second = (
        strategy.score(TaskPrediction(Task(EMOTION, T), m, zero, zero, zero), make_pool(n=1))
        for m in (torn, doubtful)
    )
    # Two answers, each with variance 0.16 between the members and 0.09 within.
    assert first == pytest.approx(2 * 0.16**2 / 0.25, rel=1e-5)
    assert second == pytest.approx(0, abs=1e-9)


def test_a_task_that_the_model_does_not_know_yet_is_worth_asking():
    pool = make_pool(n=50, dimensions=(SENTIMENT,))
    known = {t: p for t, p in pool.predictions.items() if t != "sentiment.T"}
    found = expected_gain(replace(pool, predictions=known), tuple(Modality)).mean(axis=0)
    assert found[0] == pytest.approx(found[1:].max())
