"""Replays in which a question may be asked once more, as long as a rater is left who did not answer it."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from annotate.batch.costs import PassCost
from annotate.batch.request import Request
from annotate.learning.model_config import ModelConfig
from annotate.simulation.diagnostics import of_batch
from annotate.simulation.fit_round import FittedRound
from annotate.simulation.oracle import Oracle, PoolQuestion
from annotate.simulation.replay import Run, full
from annotate.simulation.replay_data import ReplayData
from annotate.simulation.schedule import ReplaySchedule
from annotate.simulation.snapshot import oracle_snapshot
from annotate.types import Kind, Label, Modality
from benchmarks._generated import Plan as Made
from benchmarks._generated import generate
from benchmarks._replay_data import make_replay_data

T, M = Modality.TEXT, Modality.MULTIMODAL
SCALE = ("negative", "neutral", "positive")


def majority(sample_id, task, said):
    value = Counter(said).most_common(1)[0][0]
    return Label(sample_id, task.id, value, {value: 1.0}, len(said))


def data_with(*passes, people=3, config=None) -> ReplayData:
    """Classes in every pass; people say the truth seven times in ten, else anything."""
    kinds = {f"sentiment.{m.value}": Kind.CLASSIFICATION for m in passes}
    plan = Made(samples=120, groups=12, tasks=tuple(kinds), kinds=kinds)
    made = make_replay_data(
        generate(plan, np.random.default_rng(0)), config or ModelConfig(hidden=4, members=1, epochs=2)
    )
    rng = np.random.default_rng(1)
    votes = {
        (i, task_id): tuple(
            str(made.labels[i, task_id].value) if rng.random() < 0.7 else str(rng.choice(SCALE))
            for _ in range(people)
        )
        for i in made.pool
        for task_id in kinds
    }
    return replace(made, votes=votes, aggregate=majority, costs=dict.fromkeys(passes, PassCost(5, 0)))


@pytest.fixture(scope="module")
def data() -> ReplayData:
    return data_with(T, M)


def test_nobody_is_paid_for_a_vote_that_does_not_exist(data):
    oracle = Oracle(data, 0)
    oracle.ask([PoolQuestion(0, M)] * 5)
    assert (oracle.questions, oracle.seconds) == (3, 15)
    known = replace(data, votes={})
    labelled = Oracle(known, 0)
    labelled.ask([PoolQuestion(0, M)] * 2)
    raters = known.labels[data.pool[0], "sentiment.M"].raters
    assert (labelled.questions, labelled.seconds) == (1, 5 * raters)
    assert full(data, ReplaySchedule(8, 6, 20), 0).seconds == 2 * 3 * 5 * len(data.pool)


def test_who_saw_the_whole_judges_no_part_again(data):
    by_id = {task.modality: task for task in data.tasks}
    oracle = Oracle(data, 0)
    oracle.ask([PoolQuestion(0, T), PoolQuestion(1, T), PoolQuestion(1, M), *[PoolQuestion(2, M)] * 3])
    assert np.flatnonzero(oracle.may_repeat(by_id[T])).tolist() == [0]
    assert np.flatnonzero(oracle.may_repeat(by_id[M])).tolist() == [1]


def test_what_may_be_asked_again_stays_in_the_pool_of_who_weighs_votes_only(data):
    oracle = Oracle(data, 0)
    everything = [PoolQuestion(row, m) for row in range(4) for m in (T, M)]
    oracle.ask([*everything, *[PoolQuestion(3, M)] * 2])
    predictions = SimpleNamespace(predictions={}, embeddings=data.embeddings, representations={})

    def snapshot(strategy, whole=True, predictions=predictions):
        return oracle_snapshot(data, oracle, FittedRound({}, (), predictions), Request(strategy, whole), 1)

    never_again = [
        snapshot("margin"), snapshot("active-lab", whole=False), snapshot("active-lab", predictions=None)
    ]  # fmt: skip
    for plain in never_again:
        assert [c.sample_id for c in plain.candidates] == list(data.pool[4:])
        assert plain.covered == list(data.pool[:4])
    assert not never_again[0].answers
    weighing = snapshot("active-lab")
    rows = [0, 1, 2, *range(4, len(data.pool))]
    assert [c.sample_id for c in weighing.candidates] == [data.pool[row] for row in rows]
    assert [(c.passes, c.again) for c in weighing.candidates[:4]] == [((), (M,))] * 3 + [((T, M), ())]
    assert weighing.missing["sentiment.M"].all()
    assert np.flatnonzero(~weighing.missing["sentiment.T"]).tolist() == [0, 1, 2]
    for row in range(3):
        key = (data.pool[row], "sentiment.M")
        assert weighing.answers[key] == [(0, oracle.labels[key].value)]
    key = (data.pool[3], "sentiment.M")
    assert {rater for rater, _ in weighing.answers[key]} == {0}
    assert Counter(answer for _, answer in weighing.answers[key]) == Counter(data.votes[key])


def test_a_sample_is_no_copy_of_itself(data):
    assert of_batch(data, [0, 1], [0, 5])["duplicates"] == 0


def test_active_lab_asks_some_questions_twice_for_the_same_money():
    config = ModelConfig(hidden=8, members=1, epochs=20, batch_size=16, learning_rate=0.01)
    data, schedule = data_with(M, config=config), ReplaySchedule(40, 30, 70)
    for name, twice in (("active-lab", True), ("margin", False)):
        points = list(Run(data, schedule, name, seed=1).rounds())
        asked = Counter(question for point in points for question in point.asked)
        assert (max(asked.values()) > 1) == twice
        assert max(asked.values()) <= 3
        assert sum(asked.values()) == points[-1].samples == 70
        assert points[-1].seconds == 70 * 5
        assert points[-1].labels == sum(asked.values())


def test_where_the_whole_was_asked_only_that_is_asked_again_and_the_budget_is_kept(monkeypatch):
    """Whatever is asked most is asked first, so that nothing is new while votes are left."""
    from strategies.active_lab import ActiveLab

    def most_votes(self, prediction, pool):
        votes = pool.votes[prediction.task.id]
        return np.bincount(votes.rows, minlength=len(pool)).astype(float)

    monkeypatch.setattr(ActiveLab, "score", most_votes)
    data = data_with(T, M)
    run = Run(data, ReplaySchedule(8, 4, 16), "active-lab", seed=0)
    points = list(run.rounds())
    assert [point.samples for point in points] == [8, 12, 16]
    assert {m for _, m in points[1].asked} == {"M"} and len(points[1].asked) == 8
    asked = Counter(question for point in points for question in point.asked)
    start = {sample_id for sample_id, _ in points[0].asked}
    assert {asked[sample_id, "M"] for sample_id in start} == {3}
    assert max(count for (_, m), count in asked.items() if m == "T") == 1
    assert points[-1].seconds == 5 * sum(asked.values()) == 5 * 32
    again = Run(data, ReplaySchedule(8, 4, 16), "active-lab", seed=0)
    again.resume(points[:2])
    (last,) = again.rounds()
    assert last.asked == points[-1].asked
