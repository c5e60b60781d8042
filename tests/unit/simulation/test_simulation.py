"""Replaying the loop in memory: nothing is known before it was asked, and everything has its price."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from annotate.batch import choose as choosing
from annotate.batch.choose import Streams, choose_batch
from annotate.batch.costs import PassCost
from annotate.batch.opening import make_strategy, settings_of
from annotate.batch.request import Request
from annotate.errors import NothingToDo, UnknownName, UsageError
from annotate.learning.model_config import ModelConfig
from annotate.simulation import replay
from annotate.simulation.curves import Curves
from annotate.simulation.diagnostics import of_batch
from annotate.simulation.fit_round import FittedRound, valid_subset
from annotate.simulation.oracle import Oracle, PoolQuestion
from annotate.simulation.replay import Run
from annotate.simulation.replay_data import ReplayData
from annotate.simulation.run_store import RunStore, identity
from annotate.simulation.runner import open_run_store, require_strategies, with_base
from annotate.simulation.schedule import ReplaySchedule, require_possible
from annotate.simulation.snapshot import oracle_snapshot
from annotate.types import Kind, Label, Modality, Selection
from benchmarks._generated import Plan as Made
from benchmarks._generated import generate
from benchmarks._replay_data import make_replay_data

TINY = ModelConfig(hidden=4, members=2, epochs=2, batch_size=16)
SCHEDULE = ReplaySchedule(8, 6, 20)
T, M = Modality.TEXT, Modality.MULTIMODAL


def make_data(**changes) -> ReplayData:
    kinds = {"sentiment.T": Kind.REGRESSION, "sentiment.M": Kind.CLASSIFICATION}
    plan = Made(samples=120, groups=12, tasks=tuple(kinds), kinds=kinds)
    return replace(make_replay_data(generate(plan, np.random.default_rng(0)), TINY), **changes)


@pytest.fixture(scope="module")
def data() -> ReplayData:
    return make_data()


def _majority(sample_id, task, said):
    value = Counter(said).most_common(1)[0][0]
    return Label(sample_id, task.id, value, {value: 1.0}, len(said))


# -- what is asked, and what it costs ---------------------------------------------------------------


def test_a_question_tells_the_labels_of_its_pass_and_costs_its_time(data):
    priced = replace(
        data, costs={T: PassCost(5, 0), M: PassCost(5, 2)}, clip_seconds=np.full(len(data.pool), 4.0)
    )
    oracle = Oracle(priced, seed=0)
    oracle.ask([PoolQuestion(3, T)])
    assert set(oracle.labels) == {(data.pool[3], "sentiment.T")}
    oracle.ask([PoolQuestion(3, M), PoolQuestion(5, M)])
    assert (len(oracle.labels), oracle.questions, oracle.rows()) == (3, 3, [3, 5])
    assert oracle.seconds == 5 + 13 + 13
    key = (data.pool[3], "sentiment.T")
    five = {**data.labels, key: replace(data.labels[key], raters=5)}
    dear = Oracle(replace(priced, labels=five), seed=0)
    dear.ask([PoolQuestion(3, T)])
    assert dear.seconds == 5 * 5


def test_each_question_draws_a_vote_that_was_not_drawn_yet(data):
    key = (data.pool[0], "sentiment.M")
    said = ("negative", "negative", "neutral", "positive", "positive")
    voted = replace(data, votes={key: said}, aggregate=_majority)
    for seed in range(5):
        oracle, seen = Oracle(voted, seed), []
        for turn in range(5):
            oracle.ask([PoolQuestion(0, M)])
            assert oracle.labels[key].raters == turn + 1
            seen.append(oracle.labels[key].value)
        label, seconds = oracle.labels[key], oracle.seconds
        oracle.ask([PoolQuestion(0, M)])  # nobody is left to ask
        assert (oracle.labels[key], oracle.seconds, oracle.questions) == (label, seconds, 5)
        again = Oracle(voted, seed)
        again.ask([PoolQuestion(4, T), PoolQuestion(0, M)])  # what else is asked changes no vote
        assert again.labels[key].value == seen[0]


def test_the_first_votes_differ_between_seeds(data):
    votes = {(i, "sentiment.M"): ("negative", "neutral", "positive") for i in data.pool}
    voted = replace(data, votes=votes, aggregate=_majority)

    def first(seed):
        oracle = Oracle(voted, seed)
        oracle.ask(PoolQuestion(row, M) for row in range(20))
        return [oracle.labels[data.pool[row], "sentiment.M"].value for row in range(20)]

    assert first(0) == first(0) != first(1)
    assert set(first(0)) == {"negative", "neutral", "positive"}


def test_valid_grows_with_the_labels_and_keeps_what_it_had(data):
    few, more = (valid_subset(data, SCHEDULE, n, seed=4) for n in (10, 40))
    assert len(few) == 2 and len(more) == min(8, len(data.valid)) and set(few) <= set(more)


# -- what a strategy sees ----------------------------------------------------------------------------


def test_a_half_asked_sample_may_be_asked_the_rest_and_is_not_known_yet(data, monkeypatch):
    oracle = Oracle(data, 0)
    oracle.ask([PoolQuestion(0, T), PoolQuestion(1, T), PoolQuestion(1, M)])
    predictions = SimpleNamespace(predictions={}, embeddings=data.embeddings, representations={})
    request = Request("active-lab", True, n=3)
    snapshot = oracle_snapshot(data, oracle, FittedRound({}, (), predictions), request, 1)
    assert [c.sample_id for c in snapshot.candidates] == [data.pool[0], *data.pool[2:]]
    assert snapshot.candidates[0].passes == (M,) and snapshot.candidates[1].passes == (T, M)
    assert not snapshot.missing["sentiment.T"][0] and snapshot.missing["sentiment.M"][0]
    truth = [data.labels[data.pool[row], "sentiment.T"].value for row in (0, 1)]
    assert snapshot.labels["sentiment.T"].tolist() == truth
    pools = []

    def choose(strategy, name, pool, k, rng):
        pools.append(pool)
        return Selection(np.arange(k), np.zeros(k))

    monkeypatch.setattr(choosing, "choose", choose)
    snapshot = oracle_snapshot(data, oracle, FittedRound({}, (), None), request, 1)
    choose_batch(snapshot, "k-center", request, Streams.of_seed(0))
    assert len(pools[0].known) == 1
    np.testing.assert_array_equal(pools[0].embeddings, data.embeddings[[0, *range(2, len(data.pool))]])


def test_what_was_not_asked_changes_nothing(data):
    """Neither the labels of the rest of the pool nor those of test can leak into a choice."""
    run = Run(data, SCHEDULE, "margin", seed=1)
    honest = list(run.rounds())
    asked = {sample_id for point in honest for sample_id, _ in point.asked}
    last = {sample_id for sample_id, _ in honest[-1].asked}
    other = dict(data.labels)
    for key, label in data.labels.items():
        hidden = key[0] in data.test or (key[0] in data.pool and key[0] not in asked - last)
        if hidden and isinstance(label.value, str):
            other[key] = replace(label, value="neutral", distribution={"neutral": 1.0})
        elif hidden:
            other[key] = replace(label, value=0.0, distribution={"0": 1.0})
    lied = list(Run(replace(data, labels=other), SCHEDULE, "margin", seed=1).rounds())
    assert [point.asked for point in lied] == [point.asked for point in honest]
    assert lied[-1].score != honest[-1].score


def test_single_questions_count_as_parts_of_samples_and_take_the_time_of_whole_ones(data):
    priced = replace(data, costs={T: PassCost(4, 0), M: PassCost(11, 0)})
    points = list(Run(priced, SCHEDULE, "margin", 0, whole=False).rounds())
    asked = [question for point in points for question in point.asked]
    assert len(set(asked)) == len(asked) == points[-1].labels == 2 * points[-1].samples
    assert len({modality for _, modality in points[1].asked}) == 2
    assert any(
        len({m for i, m in points[1].asked if i == sample_id}) == 1 for sample_id, _ in points[1].asked
    )
    for before, after in pairwise(points):
        assert 6 * 15 - 11 < after.seconds - before.seconds <= 6 * 15


def test_a_short_last_round_asks_for_less(data, monkeypatch):
    requests = []

    def choose(snapshot, strategy, request, rng):
        requests.append(request)
        return choose_batch(snapshot, strategy, request, rng)

    monkeypatch.setattr(replay, "choose_batch", choose)
    for whole in (True, False):
        assert len(list(Run(data, ReplaySchedule(8, 6, 17), "uniform", 0, whole=whole).rounds())) == 3
    assert [(request.n, request.most_questions) for request in requests[:2]] == [(6, 12), (3, 6)]
    seconds = replay.whole_seconds(data)
    assert [request.budget_seconds for request in requests[2:]] == [6 * seconds, 3 * seconds]


def test_where_no_model_can_be_trained_the_cold_start_stands_in(data):
    """One class only: no head of M; three samples: none of T either."""
    schedule = ReplaySchedule(3, 3, 6)
    points = list(Run(data, schedule, "margin", 0).rounds())
    assert points[1].notes == ["margin needs a model and there is none yet; herding was used"]
    assert len(points[1].asked) == 6


def test_single_questions_wait_for_a_model(data):
    """Until then whole samples are asked, by the cold start, for the same time."""
    first = list(Run(data, ReplaySchedule(3, 3, 6), "margin", 0, whole=False).rounds())[1]
    assert Counter(Counter(sample_id for sample_id, _ in first.asked).values()) == {2: 3}
    assert first.notes == ["margin needs a model and there is none yet; herding was used"]


def test_no_more_samples_are_ranked_than_the_settings_allow(data):
    limited = replace(data, pool_limit=10)
    ranked = [
        list(Run(ranked_data, SCHEDULE, "k-center", 0).rounds())[1].asked for ranked_data in (data, limited)
    ]
    assert len(ranked[0]) == len(ranked[1]) and ranked[0] != ranked[1]
    assert identity(data, SCHEDULE) == identity(replace(data, pool_limit=len(data.pool)), SCHEDULE)
    assert identity(data, SCHEDULE) != identity(limited, SCHEDULE)


def test_areas_are_means_over_what_is_asked_for():
    curves = Curves(*np.array([[[0, 1, 3]], [[0, 1, 3]], [[0, 2, 3]], [[0, 1, 1]]], dtype=float))
    assert curves.areas()[0] == pytest.approx((0.5 + 2) / 3)
    assert curves.areas("seconds")[0] == pytest.approx((1 + 1) / 3)


def test_strategies_share_the_start_and_the_first_model_and_repeat_themselves(data):
    one, other = (list(Run(data, SCHEDULE, name, 3).rounds()) for name in ("k-center", "margin"))
    assert (one[0].asked, one[0].score) == (other[0].asked, other[0].score)
    again = list(Run(data, SCHEDULE, "margin", 3).rounds())
    assert [(p.asked, p.scores) for p in again] == [(p.asked, p.scores) for p in other]


def test_a_run_taken_up_in_the_middle_ends_the_same(data):
    whole = list(Run(data, SCHEDULE, "margin", 5).rounds())
    rest = Run(data, SCHEDULE, "margin", 5)
    rest.resume(whole[:1])
    assert [(p.asked, p.score) for p in rest.rounds()] == [(p.asked, p.score) for p in whole[1:]]


# -- diagnostics --------------------------------------------------------------------------


def test_batches_are_described_by_classes_speakers_and_repeats(data):
    twins = data.embeddings.copy()
    twins[1] = twins[0]
    speakers = np.arange(len(data.pool)) % 4
    changed = replace(data, embeddings=twins, groups={"speaker": speakers})
    assert of_batch(changed, [0, 1], [])["duplicates"] == 0.5
    assert of_batch(changed, [1], [0])["duplicates"] == 1.0
    assert of_batch(changed, [2, 3], [0])["duplicates"] == 0.0
    assert of_batch(changed, [0, 1, 2, 3], [])["speakers"] == pytest.approx(1)
    assert of_batch(changed, [0, 4, 8, 12], [])["speakers"] == pytest.approx(0.25)
    assert of_batch(changed, range(len(data.pool)), [])["classes"] == pytest.approx(1)
    assert of_batch(data, [], [])["classes"] is None


# -- what cannot be ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "step", "until"), [(0, 5, 10), (5, 0, 10), (5, 5, 5), (5, 5, 4)])
def test_a_schedule_that_gets_nowhere_is_refused(start, step, until):
    with pytest.raises(UsageError) as caught:
        ReplaySchedule(start, step, until)
    assert caught.value.hint


def test_budgets_end_at_the_last_sample_whatever_the_step():
    assert ReplaySchedule(20, 20, 90).budgets() == (20, 40, 60, 80, 90)
    assert ReplaySchedule(20, 100, 30).budgets() == (20, 30)


def test_data_in_which_nothing_can_be_learned_or_measured_are_refused(data):
    with pytest.raises(NothingToDo, match="no train sample"):
        require_possible(replace(data, pool=()), SCHEDULE)
    with pytest.raises(NothingToDo, match="no test sample"):
        require_possible(replace(data, test=()), SCHEDULE)
    size = len(data.pool)
    with pytest.raises(UsageError, match=f"--start {size + 1}"):
        require_possible(data, ReplaySchedule(size + 1, 1, size + 2))
    with pytest.raises(UsageError, match=f"--until {size + 1}"):
        require_possible(data, ReplaySchedule(5, 5, size + 1))
    require_possible(data, ReplaySchedule(5, 5, size))


def test_strategies_are_opened_before_anything_is_trained(data):
    with pytest.raises(UnknownName):
        require_strategies(data, ["k-centre"])
    with pytest.raises(UsageError, match="needs a model"):
        require_strategies(replace(data, cold_start="margin"), ["uniform"])
    assert with_base(["k-center", "uniform", "k-center"]) == ("uniform", "k-center")


def test_a_folder_knows_its_simulation(data, tmp_path):
    store = open_run_store(data, SCHEDULE, tmp_path / "one")
    assert store.read("power:bald", 3) == []
    store.path("power:bald", 3).parent.mkdir(parents=True)
    for damaged in ("[{}]", "{}", '{"settings": {}}'):
        store.path("power:bald", 3).write_text(damaged)
        assert store.read("power:bald", 3) == []
    open_run_store(data, SCHEDULE, tmp_path / "one")
    label = next(iter(data.labels.values()))
    changed = {**data.labels, (label.sample_id, label.task_id): replace(label, raters=9, distribution={})}
    merged = {word: 0 * who for word, who in data.groups.items()}
    for other in (
        replace(data, labels=changed),
        replace(data, config=replace(TINY, epochs=3)),
        replace(data, groups=merged),
    ):
        with pytest.raises(UsageError, match="another simulation"):
            open_run_store(other, SCHEDULE, tmp_path / "one")


def test_a_strategy_of_somebody_else_may_call_anything_options_or_inner():
    class Theirs:
        options, inner = ["of a library"], True

    assert settings_of(Theirs()) == {"options": {}, "on": {}}


def test_a_run_with_other_defaults_is_made_again(data, tmp_path, monkeypatch):
    """A new version may choose another way under the same name, also by what a strategy stands on."""
    store = open_run_store(data, SCHEDULE, tmp_path)
    points = list(Run(data, SCHEDULE, "uniform", 0).rounds())
    for name in ("auto", "cluster-margin:entropy", "uniform", "auto by question"):
        store.write(name, 0, points)
        assert store.read(name, 0) == points
    later = replace(data, options={"entropy": {"combine": "max"}, "auto": {"share": 0.5}})
    names = ("auto", "cluster-margin:entropy", "uniform")
    told = {name: settings_of(make_strategy(name, later.options)) for name in names}
    other = RunStore(tmp_path, identity(data, SCHEDULE), lambda name: told[name.removesuffix(" by question")])
    assert [other.read(name, 0) == points for name in names] == [False, False, True]
    assert other.read("auto by question", 0) == []


def test_questions_over_many_samples_bring_no_more_valid_labels_than_whole_samples(data):
    """A sample of which one pass was asked is a part of one: valid is a share of what was asked."""
    whole, spread = Oracle(data, 0), Oracle(data, 0)
    passes = data.passes
    whole.ask(PoolQuestion(row, m) for row in range(4) for m in passes)
    spread.ask(PoolQuestion(row, passes[0]) for row in range(4 * len(passes)))
    assert whole.samples == spread.samples == 4
    assert valid_subset(data, SCHEDULE, whole.samples, 0) == valid_subset(data, SCHEDULE, spread.samples, 0)
