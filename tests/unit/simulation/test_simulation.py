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
from annotate.simulation.cells import Cells, identity
from annotate.simulation.curves import Curves
from annotate.simulation.diagnostics import of_batch
from annotate.simulation.ledger import Ledger, Question
from annotate.simulation.model import Taught, watched
from annotate.simulation.replay import Run
from annotate.simulation.schedule import cells_of, require_strategies, with_base
from annotate.simulation.snapshot import oracle_snapshot
from annotate.simulation.world import Plan, World, require_possible
from annotate.types import Kind, Label, Modality, Selection
from benchmarks._generated import Plan as Made
from benchmarks._generated import generate
from benchmarks._worlds import world_of

TINY = ModelConfig(hidden=4, members=2, epochs=2, batch_size=16)
PLAN = Plan(8, 6, 20)
T, M = Modality.TEXT, Modality.MULTIMODAL


def make_world(**changes) -> World:
    kinds = {"sentiment.T": Kind.REGRESSION, "sentiment.M": Kind.CLASSIFICATION}
    plan = Made(samples=120, groups=12, tasks=tuple(kinds), kinds=kinds)
    return replace(world_of(generate(plan, np.random.default_rng(0)), TINY), **changes)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


def _majority(sample_id, task, said):
    value = Counter(said).most_common(1)[0][0]
    return Label(sample_id, task.id, value, {value: 1.0}, len(said))


# -- what is asked, and what it costs ---------------------------------------------------------------


def test_a_question_tells_the_labels_of_its_pass_and_costs_its_time(world):
    priced = replace(
        world, costs={T: PassCost(5, 0), M: PassCost(5, 2)}, clip_seconds=np.full(len(world.pool), 4.0)
    )
    ledger = Ledger(priced, seed=0)
    ledger.ask([Question(3, T)])
    assert set(ledger.labels) == {(world.pool[3], "sentiment.T")}
    ledger.ask([Question(3, M), Question(5, M)])
    assert (len(ledger.labels), ledger.questions, ledger.rows()) == (3, 3, [3, 5])
    assert ledger.seconds == 5 + 13 + 13
    key = (world.pool[3], "sentiment.T")
    five = {**world.labels, key: replace(world.labels[key], raters=5)}
    dear = Ledger(replace(priced, labels=five), seed=0)
    dear.ask([Question(3, T)])
    assert dear.seconds == 5 * 5


def test_each_question_draws_a_vote_that_was_not_drawn_yet(world):
    key = (world.pool[0], "sentiment.M")
    said = ("negative", "negative", "neutral", "positive", "positive")
    voted = replace(world, votes={key: said}, agree=_majority)
    for seed in range(5):
        ledger, seen = Ledger(voted, seed), []
        for turn in range(5):
            ledger.ask([Question(0, M)])
            assert ledger.labels[key].raters == turn + 1
            seen.append(ledger.labels[key].value)
        label, seconds = ledger.labels[key], ledger.seconds
        ledger.ask([Question(0, M)])  # nobody is left to ask
        assert (ledger.labels[key], ledger.seconds, ledger.questions) == (label, seconds, 5)
        again = Ledger(voted, seed)
        again.ask([Question(4, T), Question(0, M)])  # what else is asked changes no vote
        assert again.labels[key].value == seen[0]


def test_the_first_votes_differ_between_seeds(world):
    votes = {(i, "sentiment.M"): ("negative", "neutral", "positive") for i in world.pool}
    voted = replace(world, votes=votes, agree=_majority)

    def first(seed):
        ledger = Ledger(voted, seed)
        ledger.ask(Question(row, M) for row in range(20))
        return [ledger.labels[world.pool[row], "sentiment.M"].value for row in range(20)]

    assert first(0) == first(0) != first(1)
    assert set(first(0)) == {"negative", "neutral", "positive"}


def test_valid_grows_with_the_labels_and_keeps_what_it_had(world):
    few, more = (watched(world, PLAN, n, seed=4) for n in (10, 40))
    assert len(few) == 2 and len(more) == min(8, len(world.valid)) and set(few) <= set(more)


# -- what a strategy sees ----------------------------------------------------------------------------


def test_a_half_asked_sample_may_be_asked_the_rest_and_is_not_known_yet(world, monkeypatch):
    ledger = Ledger(world, 0)
    ledger.ask([Question(0, T), Question(1, T), Question(1, M)])
    predictions = SimpleNamespace(predictions={}, embeddings=world.bare, representations={})
    request = Request("active-lab", True, n=3)
    snapshot = oracle_snapshot(world, ledger, Taught({}, (), predictions), request, 1)
    assert [c.sample_id for c in snapshot.candidates] == [world.pool[0], *world.pool[2:]]
    assert snapshot.candidates[0].passes == (M,) and snapshot.candidates[1].passes == (T, M)
    assert not snapshot.missing["sentiment.T"][0] and snapshot.missing["sentiment.M"][0]
    truth = [world.labels[world.pool[row], "sentiment.T"].value for row in (0, 1)]
    assert snapshot.labels["sentiment.T"].tolist() == truth
    pools = []

    def choose(strategy, name, pool, k, rng):
        pools.append(pool)
        return Selection(np.arange(k), np.zeros(k))

    monkeypatch.setattr(choosing, "choose", choose)
    snapshot = oracle_snapshot(world, ledger, Taught({}, (), None), request, 1)
    choose_batch(snapshot, "k-center", request, Streams.of_seed(0))
    assert len(pools[0].known) == 1
    np.testing.assert_array_equal(pools[0].embeddings, world.bare[[0, *range(2, len(world.pool))]])


def test_what_was_not_asked_changes_nothing(world):
    """Neither the labels of the rest of the pool nor those of test can leak into a choice."""
    run = Run(world, PLAN, "margin", seed=1)
    honest = list(run.rounds())
    asked = {sample_id for point in honest for sample_id, _ in point.asked}
    last = {sample_id for sample_id, _ in honest[-1].asked}
    other = dict(world.labels)
    for key, label in world.labels.items():
        hidden = key[0] in world.test or (key[0] in world.pool and key[0] not in asked - last)
        if hidden and isinstance(label.value, str):
            other[key] = replace(label, value="neutral", distribution={"neutral": 1.0})
        elif hidden:
            other[key] = replace(label, value=0.0, distribution={"0": 1.0})
    lied = list(Run(replace(world, labels=other), PLAN, "margin", seed=1).rounds())
    assert [point.asked for point in lied] == [point.asked for point in honest]
    assert lied[-1].score != honest[-1].score


def test_single_questions_count_as_parts_of_samples_and_take_the_time_of_whole_ones(world):
    priced = replace(world, costs={T: PassCost(4, 0), M: PassCost(11, 0)})
    points = list(Run(priced, PLAN, "margin", 0, whole=False).rounds())
    asked = [question for point in points for question in point.asked]
    assert len(set(asked)) == len(asked) == points[-1].labels == 2 * points[-1].samples
    assert len({modality for _, modality in points[1].asked}) == 2
    assert any(
        len({m for i, m in points[1].asked if i == sample_id}) == 1 for sample_id, _ in points[1].asked
    )
    for before, after in pairwise(points):
        assert 6 * 15 - 11 < after.seconds - before.seconds <= 6 * 15


def test_a_short_last_round_asks_for_less(world, monkeypatch):
    requests = []

    def choose(snapshot, strategy, request, rng):
        requests.append(request)
        return choose_batch(snapshot, strategy, request, rng)

    monkeypatch.setattr(replay, "choose_batch", choose)
    for whole in (True, False):
        assert len(list(Run(world, Plan(8, 6, 17), "uniform", 0, whole=whole).rounds())) == 3
    assert [(request.n, request.most_questions) for request in requests[:2]] == [(6, 12), (3, 6)]
    seconds = replay.whole_seconds(world)
    assert [request.budget_seconds for request in requests[2:]] == [6 * seconds, 3 * seconds]


def test_where_no_model_can_be_trained_the_cold_start_stands_in(world):
    """One class only: no head of M; three samples: none of T either."""
    plan = Plan(3, 3, 6)
    found = list(Run(world, plan, "margin", 0).rounds())
    assert found[1].notes == ["margin needs a model and there is none yet; herding was used"]
    assert len(found[1].asked) == 6


def test_single_questions_wait_for_a_model(world):
    """Until then whole samples are asked, by the cold start, for the same time."""
    first = list(Run(world, Plan(3, 3, 6), "margin", 0, whole=False).rounds())[1]
    assert Counter(Counter(sample_id for sample_id, _ in first.asked).values()) == {2: 3}
    assert first.notes == ["margin needs a model and there is none yet; herding was used"]


def test_no_more_samples_are_ranked_than_the_settings_allow(world):
    limited = replace(world, pool_limit=10)
    ranked = [list(Run(data, PLAN, "k-center", 0).rounds())[1].asked for data in (world, limited)]
    assert len(ranked[0]) == len(ranked[1]) and ranked[0] != ranked[1]
    assert identity(world, PLAN) == identity(replace(world, pool_limit=len(world.pool)), PLAN)
    assert identity(world, PLAN) != identity(limited, PLAN)


def test_areas_are_means_over_what_is_asked_for():
    curves = Curves(*np.array([[[0, 1, 3]], [[0, 1, 3]], [[0, 2, 3]], [[0, 1, 1]]], dtype=float))
    assert curves.areas()[0] == pytest.approx((0.5 + 2) / 3)
    assert curves.areas("seconds")[0] == pytest.approx((1 + 1) / 3)


def test_strategies_share_the_start_and_the_first_model_and_repeat_themselves(world):
    one, other = (list(Run(world, PLAN, name, 3).rounds()) for name in ("k-center", "margin"))
    assert (one[0].asked, one[0].score) == (other[0].asked, other[0].score)
    again = list(Run(world, PLAN, "margin", 3).rounds())
    assert [(p.asked, p.scores) for p in again] == [(p.asked, p.scores) for p in other]


def test_a_run_taken_up_in_the_middle_ends_the_same(world):
    whole = list(Run(world, PLAN, "margin", 5).rounds())
    rest = Run(world, PLAN, "margin", 5)
    rest.resume(whole[:1])
    assert [(p.asked, p.score) for p in rest.rounds()] == [(p.asked, p.score) for p in whole[1:]]


# -- diagnostics --------------------------------------------------------------------------


def test_batches_are_described_by_classes_speakers_and_repeats(world):
    twins = world.bare.copy()
    twins[1] = twins[0]
    speakers = np.arange(len(world.pool)) % 4
    changed = replace(world, bare=twins, groups={"speaker": speakers})
    assert of_batch(changed, [0, 1], [])["duplicates"] == 0.5
    assert of_batch(changed, [1], [0])["duplicates"] == 1.0
    assert of_batch(changed, [2, 3], [0])["duplicates"] == 0.0
    assert of_batch(changed, [0, 1, 2, 3], [])["speakers"] == pytest.approx(1)
    assert of_batch(changed, [0, 4, 8, 12], [])["speakers"] == pytest.approx(0.25)
    assert of_batch(changed, range(len(world.pool)), [])["classes"] == pytest.approx(1)
    assert of_batch(world, [], [])["classes"] is None


# -- what cannot be ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "step", "until"), [(0, 5, 10), (5, 0, 10), (5, 5, 5), (5, 5, 4)])
def test_a_plan_that_gets_nowhere_is_refused(start, step, until):
    with pytest.raises(UsageError) as caught:
        Plan(start, step, until)
    assert caught.value.hint


def test_budgets_end_at_the_last_sample_whatever_the_step():
    assert Plan(20, 20, 90).budgets() == (20, 40, 60, 80, 90)
    assert Plan(20, 100, 30).budgets() == (20, 30)


def test_worlds_in_which_nothing_can_be_learned_or_measured_are_refused(world):
    with pytest.raises(NothingToDo, match="no train sample"):
        require_possible(replace(world, pool=()), PLAN)
    with pytest.raises(NothingToDo, match="no test sample"):
        require_possible(replace(world, test=()), PLAN)
    size = len(world.pool)
    with pytest.raises(UsageError, match=f"--start {size + 1}"):
        require_possible(world, Plan(size + 1, 1, size + 2))
    with pytest.raises(UsageError, match=f"--until {size + 1}"):
        require_possible(world, Plan(5, 5, size + 1))
    require_possible(world, Plan(5, 5, size))


def test_strategies_are_opened_before_anything_is_trained(world):
    with pytest.raises(UnknownName):
        require_strategies(world, ["k-centre"])
    with pytest.raises(UsageError, match="needs a model"):
        require_strategies(replace(world, cold_start="margin"), ["uniform"])
    assert with_base(["k-center", "uniform", "k-center"]) == ("uniform", "k-center")


def test_a_folder_knows_its_simulation(world, tmp_path):
    cells = cells_of(world, PLAN, tmp_path / "one")
    assert cells.read("power:bald", 3) == []
    cells.path("power:bald", 3).parent.mkdir(parents=True)
    for damaged in ("[{}]", "{}", '{"settings": {}}'):
        cells.path("power:bald", 3).write_text(damaged)
        assert cells.read("power:bald", 3) == []
    cells_of(world, PLAN, tmp_path / "one")
    label = next(iter(world.labels.values()))
    changed = {**world.labels, (label.sample_id, label.task_id): replace(label, raters=9, distribution={})}
    merged = {word: 0 * who for word, who in world.groups.items()}
    for other in (
        replace(world, labels=changed),
        replace(world, recipe=replace(TINY, epochs=3)),
        replace(world, groups=merged),
    ):
        with pytest.raises(UsageError, match="another simulation"):
            cells_of(other, PLAN, tmp_path / "one")


def test_a_strategy_of_somebody_else_may_call_anything_options_or_inner():
    class Theirs:
        options, inner = ["of a library"], True

    assert settings_of(Theirs()) == {"options": {}, "on": {}}


def test_a_run_with_other_defaults_is_made_again(world, tmp_path, monkeypatch):
    """A new version may choose another way under the same name, also by what a strategy stands on."""
    cells = cells_of(world, PLAN, tmp_path)
    points = list(Run(world, PLAN, "uniform", 0).rounds())
    for name in ("auto", "cluster-margin:entropy", "uniform", "auto by question"):
        cells.write(name, 0, points)
        assert cells.read(name, 0) == points
    later = replace(world, options={"entropy": {"combine": "max"}, "auto": {"share": 0.5}})
    names = ("auto", "cluster-margin:entropy", "uniform")
    told = {name: settings_of(make_strategy(name, later.options)) for name in names}
    other = Cells(tmp_path, identity(world, PLAN), lambda name: told[name.removesuffix(" by question")])
    assert [other.read(name, 0) == points for name in names] == [False, False, True]
    assert other.read("auto by question", 0) == []


def test_questions_over_many_samples_bring_no_more_valid_labels_than_whole_samples(world):
    """A sample of which one pass was asked is a part of one: valid is a share of what was asked."""
    whole, spread = Ledger(world, 0), Ledger(world, 0)
    passes = world.passes
    whole.ask(Question(row, m) for row in range(4) for m in passes)
    spread.ask(Question(row, passes[0]) for row in range(4 * len(passes)))
    assert whole.samples == spread.samples == 4
    assert watched(world, PLAN, whole.samples, 0) == watched(world, PLAN, spread.samples, 0)
