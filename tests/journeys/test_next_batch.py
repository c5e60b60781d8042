"""Asking for batches, from the first one without any label to the last: against the database, with a
stand-in for Label Studio that opens what is pushed or fails on demand."""

import subprocess
import sys
import types
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select, update

from annotate.batch import choose as choose_module
from annotate.batch import subsample
from annotate.batch.costs import CostModel, PassCost
from annotate.batch.quotas import Choice
from annotate.batch.request import Request
from annotate.console import plain
from annotate.corpus.features import feature_names
from annotate.errors import (
    AnnotateError,
    ConfigError,
    FeatureError,
    LabelStudioError,
    ModelError,
    NothingToDo,
    UnknownName,
    UsageError,
)
from annotate.feature_store import FeatureStore
from annotate.project import Project
from annotate.steps import next_batch as step
from annotate.steps.next_batch import NextBatchReport
from annotate.types import Modality, Role, Split
from db import batches, stats
from db.batches import Candidate
from db.engine import reading, writing
from db.features import add_shard
from db.models import UNANSWERED, Batch, Label, Prediction, Question, QuestionState, Sample
from tests.support.factories import add_label, add_sample, add_video
from tests.support.processes import PATIENCE


class Studio:
    """Opens every queued question, or is down, or dies after some questions."""

    def __init__(self) -> None:
        self.down = False
        self.dies_after: int | None = None
        self.opened: list[int] = []

    def __enter__(self) -> "Studio":
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def connect(self, project: Project) -> "Studio":
        if self.down:
            raise LabelStudioError("Label Studio is not running", hint="annotate studio up")
        return self

    def adopt_unknown(self, project: Project, client: "Studio") -> list[str]:
        return []

    def push_outbox(self, project: Project, client: "Studio", *, progress: object) -> types.SimpleNamespace:
        with writing(project.engine) as session:
            queued = select(Question).where(Question.state == QuestionState.QUEUED).order_by(Question.id)
            items = list(session.scalars(queued))[: self.dies_after]
            for item in items:
                item.state = QuestionState.OPEN
                self.opened.append(item.id)
        if self.dies_after is not None:
            raise LabelStudioError("Label Studio does not answer", hint="annotate studio status")
        return types.SimpleNamespace(pushed=len(items), problems=[])


def frames(sample_id: str) -> NDArray[np.float32]:
    rng = np.random.default_rng(int(sample_id, 16))
    return rng.normal(side(sample_id) * 2.0, 1, (3, 5)).astype(np.float32)


def side(sample_id: str) -> int:
    return -1 if int(sample_id, 16) % 2 else 1


def stand_in(studio: Studio) -> dict[str, types.ModuleType]:
    """The modules that reach Label Studio, by name."""
    modules = {}
    functions = {"push": studio.push_outbox, "connection": studio.connect, "match": studio.adopt_unknown}
    for name, function in functions.items():
        modules[f"annotate.labelling.{name}"] = types.ModuleType(name)
        setattr(modules[f"annotate.labelling.{name}"], function.__name__, function)
    return modules


@pytest.fixture(autouse=True)
def studio(monkeypatch: pytest.MonkeyPatch) -> Studio:
    found = Studio()
    for name, module in stand_in(found).items():
        monkeypatch.setitem(sys.modules, name, module)
    return found


def fill(
    project: Project, train: int = 30, valid: int = 6, test: int = 6, text: str = "hello", turn: int = 1
) -> None:
    """Samples with features, so many per split; `turn` -1 lets them arrive in the other order."""
    with writing(project.engine) as session:
        for split, count in [(Split.TRAIN, train), (Split.VALID, valid), (Split.TEST, test)][::turn]:
            if count:
                video = add_video(session, f"{split}{text}", split=split)
            for i in range(count)[::turn]:
                add_sample(session, video, start=3.0 * i, text=text)
    extract(project)


def extract(project: Project) -> None:
    """Features in clusters that the labels follow."""
    with reading(project.engine) as session:
        ids = list(session.scalars(select(Sample.id)))
    for modality, name in feature_names(project).items():
        shard = FeatureStore(project.features).write(modality, name, [(i, frames(i)) for i in ids])
        with writing(project.engine) as session:
            add_shard(
                session, sha256=shard.sha256, path=shard.path, modality=modality, extractor=name,
                inputs=[(i, "") for i in shard.samples],
            )  # fmt: skip


def ask(project: Project, n: int = 10, **options: object) -> NextBatchReport:
    return step.next_batch(project, n=n, **options)  # type: ignore[arg-type]


def items(project: Project, batch: int | None = None) -> list[Question]:
    with reading(project.engine) as session:
        ids = [batch] if batch else list(session.scalars(select(Batch.id).order_by(Batch.id)))
        return [item for i in ids for item in batches.questions(session, i)]


def samples_of(project: Project, batch: int | None = None) -> set[str]:
    return {item.sample_id for item in items(project, batch)}


def set_state(project: Project, state: QuestionState, *conditions: object) -> None:
    with writing(project.engine) as session:
        session.execute(update(Question).where(*conditions).values(state=state))  # type: ignore[arg-type]


def close_all(project: Project) -> None:
    """Raters answer everything, the held questions too."""
    set_state(project, QuestionState.CLOSED, Question.state.in_(UNANSWERED))


def batch_count(project: Project) -> int:
    with reading(project.engine) as session:
        return stats.batches(session)


# What goes wrong


def test_a_dead_label_studio_is_told_before_anything_is_chosen(project: Project, studio: Studio) -> None:
    fill(project)
    studio.down = True
    with pytest.raises(LabelStudioError) as caught:
        ask(project)
    assert caught.value.hint == "annotate studio up"
    assert batch_count(project) == 0
    assert ask(project, dry_run=True).samples == 10


def test_impossible_wishes_are_refused(project: Project) -> None:
    fill(project)
    with pytest.raises(UsageError):
        ask(project, n=0)
    with pytest.raises(UnknownName, match="entropie") as caught:
        ask(project, strategy="entropie")
    assert "entropy" in caught.value.hint


def test_a_cold_start_that_needs_a_model_is_a_mistake_in_the_settings(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNOTATE_BATCH__COLD_START", "bald")
    with pytest.raises(ConfigError, match="needs a model") as caught:
        ask(Project.open(project.root))
    assert "herding" in caught.value.hint


def test_an_empty_project_is_sent_to_ingest(project: Project) -> None:
    with pytest.raises(NothingToDo) as caught:
        ask(project)
    assert caught.value.exit_code == 3
    assert "annotate ingest" in caught.value.hint


def test_candidates_without_any_features_are_sent_to_extract_and_nothing_is_written(project: Project) -> None:
    with writing(project.engine) as session:
        add_sample(session, add_video(session, "new"))
    with pytest.raises(FeatureError) as caught:
        ask(project)
    assert "annotate extract" in caught.value.hint
    assert batch_count(project) == 0


def test_one_sample_without_features_is_passed_over_and_said_so(project: Project) -> None:
    fill(project)
    with writing(project.engine) as session:
        unreadable = add_sample(session, add_video(session, "unreadable")).id
    report = ask(project, n=1000)
    assert unreadable not in samples_of(project)
    assert any("1 sample without features" in note for note in report.notes)


def test_a_push_that_fails_is_finished_by_the_next_call_without_a_new_batch(
    project: Project, studio: Studio
) -> None:
    fill(project)
    studio.dies_after = 7
    with pytest.raises(LabelStudioError):
        ask(project)
    chosen = samples_of(project)
    studio.dies_after = None
    report = ask(project)
    assert report.resumed == report.batch == 1
    assert report.samples == 10
    assert report.pushed == 30 - 7
    assert samples_of(project) == chosen
    assert len(studio.opened) == len(set(studio.opened)) == 30
    again = ask(project)
    assert again.resumed is None
    assert again.batch == 2
    assert not samples_of(project, 2) & chosen


def test_another_machine_that_asked_the_same_sample_meanwhile_is_an_error_that_writes_nothing(
    each_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(each_project)
    stale = batches.candidates

    def snapshot(*args: object) -> list[batches.Candidate]:
        return found

    with reading(each_project.engine) as session:
        found = stale(session, each_project.settings.passes)
    ask(each_project, n=42)
    monkeypatch.setattr(batches, "candidates", snapshot)
    monkeypatch.setattr(batches, "something_left", lambda *_: True)
    with pytest.raises(AnnotateError, match="nothing was written") as caught:
        ask(each_project)
    assert "again" in caught.value.hint
    assert batch_count(each_project) == 1


# What a batch is


def test_a_first_batch_asks_each_pass_of_each_sample_with_the_shares_of_the_settings(
    each_project: Project,
) -> None:
    fill(each_project)
    report = ask(each_project, n=20)
    assert report.strategy == "herding"
    assert report.round is None
    assert any("auto needs a model" in note for note in report.notes)
    assert report.roles == {"active": 14, "audit": 2, "holdout": 4}
    assert report.questions == {"A": 20, "M": 20, "T": 20, "V": 20}
    assert (report.samples, report.held, report.pushed, report.left) == (20, 20, 60, 22)
    rows = items(each_project)
    assert len({row.key for row in rows}) == 80
    assert {row.state for row in rows if row.modality == "M"} == {QuestionState.HELD}
    assert {row.state for row in rows if row.modality != "M"} == {QuestionState.OPEN}
    assert sorted(row.rank for row in rows if row.modality == "M") == list(range(20))
    with reading(each_project.engine) as session:
        split = {sample.id: sample.split for sample in session.scalars(select(Sample))}
        header = session.get_one(Batch, 1)
        assert header.settings["pool"] == {"active": 30, "audit": 30, "holdout": 12}
    for row in rows:
        assert (split[row.sample_id] == "train") == (row.role != "holdout")
        expected = {"active": None, "audit": 2 / 30, "holdout": 2 / 6}[row.role]
        assert row.inclusion_probability == (None if expected is None else pytest.approx(expected))


def test_batches_of_one_sample_together_follow_the_shares(each_project: Project) -> None:
    fill(each_project)
    for _ in range(10):
        ask(each_project, n=1)
    roles = {row.sample_id: row.role for row in items(each_project)}
    assert Counter(roles.values()) == {"active": 7, "audit": 1, "holdout": 2}


def test_a_protocol_of_one_pass_holds_nothing_back(make_project: Callable[..., Project]) -> None:
    mosi = make_project(preset="mosi")
    fill(mosi)
    report = ask(mosi)
    assert report.questions == {"M": 10}
    assert (report.held, report.pushed) == (0, 10)


def test_a_sample_without_transcript_is_not_asked_for_its_text(project: Project) -> None:
    fill(project, text=" ")
    report = ask(project)
    assert report.questions == {"A": 10, "M": 10, "V": 10}
    assert report.held == 10


def test_batches_follow_each_other_until_every_sample_was_asked_once(each_project: Project) -> None:
    fill(each_project, train=13, valid=3, test=2)
    seen: list[str] = []
    while True:
        try:
            report = ask(each_project, n=5)
        except NothingToDo as end:
            assert "annotate pull" in end.hint
            break
        assert report.batch is not None
        seen += samples_of(each_project, report.batch)
        assert report.left == 18 - len(seen)
    assert len(seen) == len(set(seen)) == 18
    close_all(each_project)
    with pytest.raises(NothingToDo) as caught:
        ask(each_project)
    assert "annotate export" in caught.value.hint


def test_more_than_is_left_takes_what_there_is_and_says_so(project: Project) -> None:
    fill(project, train=5, valid=1, test=1)
    report = ask(project, n=50)
    assert (report.samples, report.left) == (7, 0)
    assert "50 samples were wanted, 7 were left" in report.notes


def test_withdrawn_questions_return_to_the_pool_and_closed_ones_never(project: Project) -> None:
    fill(project, train=6, valid=0, test=0)
    ask(project, n=6)
    close_all(project)
    audit = {row.sample_id for row in items(project) if row.role == "audit"}
    back, half = sorted(samples_of(project) - audit)[:2]
    set_state(project, QuestionState.WITHDRAWN, Question.sample_id == back)
    set_state(project, QuestionState.WITHDRAWN, Question.sample_id == half, Question.modality == "V")
    report = ask(project, n=6)
    assert samples_of(project, report.batch) == {back, half}
    assert Counter((row.sample_id, row.modality) for row in items(project, report.batch)) == Counter(
        [(back, "T"), (back, "A"), (back, "V"), (back, "M"), (half, "V")]
    )


def test_an_audit_sample_that_comes_back_is_audit_again(project: Project) -> None:
    fill(project, train=6, valid=0, test=0)
    ask(project, n=6)
    close_all(project)
    audit = {row.sample_id for row in items(project) if row.role == "audit"}
    assert len(audit) == 1
    set_state(project, QuestionState.WITHDRAWN, Question.sample_id.in_(audit))
    with reading(project.engine) as session:
        assert batches.audit_sample_ids(session) == audit
    report = ask(project, n=6)
    assert report.roles == {"audit": 1}
    assert samples_of(project, report.batch) == audit


def test_retired_and_undivided_samples_are_not_asked(project: Project) -> None:
    fill(project, train=3, valid=0, test=0)
    with writing(project.engine) as session:
        rows = list(session.scalars(select(Sample).order_by(Sample.id)))
        rows[0].status, rows[1].split = "retired", None
        kept = rows[2].id
    ask(project)
    assert samples_of(project) == {kept}


# The same again


def choice(report: NextBatchReport) -> list[tuple[int, str, str]]:
    return [(item.rank, item.sample, item.role) for item in report.items]


def test_a_dry_run_shows_what_the_real_one_asks_and_writes_nothing(project: Project) -> None:
    fill(project)
    dry = ask(project, dry_run=True)
    assert batch_count(project) == 0
    assert dry.batch is None
    assert choice(ask(project, dry_run=True)) == choice(dry)
    assert choice(ask(project, dry_run=True, seed=9)) != choice(dry)
    ask(project)
    real = {(row.rank, row.sample_id, row.role) for row in items(project)}
    assert real == set(choice(dry))


def test_the_choice_does_not_depend_on_the_order_of_arrival(make_project: Callable[..., Project]) -> None:
    chosen = []
    for name, turn in (("one", 1), ("two", -1)):
        project = make_project(name=name)
        fill(project, turn=turn)
        chosen.append(choice(ask(project, dry_run=True, seed=1)))
    assert chosen[0] == chosen[1]


TWIN = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from annotate.project import Project
from tests.journeys.test_next_batch import Studio, ask, stand_in

sys.modules.update(stand_in(Studio()))
project = Project.open(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    ask(project, n=5)
project.engine.dispose()
"""


def test_two_processes_at_the_same_time_never_ask_the_same_sample(each_project: Project) -> None:
    fill(each_project, train=40)
    root = Path(__file__).parent.parent.parent
    twins = [
        subprocess.Popen(
            [sys.executable, "-c", TWIN, str(each_project.root), str(root)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for twin in twins:
        assert twin.stdout is not None
        assert twin.stdout.readline() == "ready\n", twin.communicate()[1]
    for twin in twins:
        assert twin.stdin is not None
        twin.stdin.write("go\n")
        twin.stdin.flush()
    errors = [twin.communicate(timeout=PATIENCE)[1] for twin in twins]
    assert [twin.returncode for twin in twins] == [0, 0], errors
    per_batch = [samples_of(each_project, batch) for batch in range(1, 7)]
    assert [len(found) for found in per_batch] == [5] * 6
    assert len(set().union(*per_batch)) == 30


# With a model


@pytest.fixture
def quick_training(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("EPOCHS", "5"), ("MEMBERS", "2"), ("HIDDEN", "8")):
        monkeypatch.setenv(f"ANNOTATE_TRAIN__{name}", value)


def label_asked(project: Project, passes: Collection[Modality] = tuple(Modality)) -> None:
    close_all(project)
    done = select(Label.sample_id)
    asked = select(Sample).where(Sample.id.in_(samples_of(project)), Sample.id.not_in(done))
    with writing(project.engine) as session:
        for sample in session.scalars(asked).all():
            for task in project.settings.tasks():
                if task.modality in passes:
                    add_label(session, sample, task.id, float(side(sample.id)))


@pytest.mark.usefixtures("quick_training")
def test_with_labels_a_model_ranks_the_pool_and_its_beliefs_are_kept(each_project: Project) -> None:
    project = each_project
    fill(project)
    ask(project, n=20)
    label_asked(project)
    report = ask(project)
    assert report.round is not None
    assert report.strategy == "auto"
    assert report.notes == []
    with reading(project.engine) as session:
        beliefs = session.scalars(select(Prediction).where(Prediction.batch_id == 2)).all()
    assert {b.sample_id for b in beliefs} == samples_of(project, 2)
    assert len(beliefs) == 10 * 4
    for belief in beliefs:
        assert sum(belief.value["probs"].values()) == pytest.approx(1, abs=1e-4)
        assert set(belief.value["probs"]) == {"-1", "0", "1"}
    active = sorted((row.rank, row.score) for row in items(project, 2) if row.role == "active")
    assert [score for _, score in active] == sorted((score for _, score in active), reverse=True)


@pytest.mark.usefixtures("quick_training")
def test_a_dry_run_trains_nothing(each_project: Project) -> None:
    project = each_project
    fill(project)
    ask(project, n=20)
    label_asked(project)
    first = ask(project, dry_run=True)
    assert first.round is None
    assert any("a first model would be trained" in note for note in first.notes)
    with reading(project.engine) as session:
        assert batches.latest_round_id(session) is None
    ask(project)
    label_asked(project)
    later = ask(project, dry_run=True)
    assert later.round == 1
    assert any("does not know the newest labels" in note for note in later.notes)


@pytest.mark.parametrize(("device", "error"), [("toaster", UsageError), ("cuda:99", ModelError)])
def test_a_device_that_cannot_be_is_refused_before_anything_is_asked(
    project: Project, device: str, error: type[Exception]
) -> None:
    fill(project)
    with pytest.raises(error):
        ask(project, device=device)
    assert items(project) == []


# Single questions and budgets


@pytest.mark.usefixtures("quick_training")
def test_single_questions_are_counted_and_the_multimodal_one_comes_with_or_after_the_others(
    each_project: Project,
) -> None:
    project = each_project
    fill(project)
    ask(project, n=20)
    label_asked(project)
    asked: Counter[str] = Counter()
    for _ in range(4):
        report = ask(project, n=16, whole_samples=False)
        found = [item for item in items(project, report.batch) if item.role == "active"]
        assert sum(report.questions.values()) <= 16
        for sample_id in {item.sample_id for item in found}:
            asked[sample_id] += 1
            if "M" in {item.modality for item in found if item.sample_id == sample_id}:
                before = {i.modality for i in items(project) if i.sample_id == sample_id}
                assert before == {"T", "A", "V", "M"}
        close_all(project)
        assert all(i.state != QuestionState.HELD for i in items(project))
    pairs = [(item.sample_id, item.modality) for item in items(project)]
    assert len(pairs) == len(set(pairs))
    assert max(asked.values()) > 1  # a sample comes back for its other passes


def test_without_a_model_whole_samples_are_asked_for_as_many_questions(project: Project) -> None:
    fill(project)
    report = ask(project, n=20, whole_samples=False)
    assert report.questions == {"A": 5, "M": 5, "T": 5, "V": 5}
    odd = ask(project, n=21, whole_samples=False, dry_run=True)
    assert sum(odd.questions.values()) == 20 and odd.left == report.left - 5
    assert not [note for note in odd.notes if "were left" in note]


def test_a_budget_is_spent_and_not_overdrawn(project: Project) -> None:
    fill(project)
    report = step.next_batch(project, budget="1h")
    # Five raters, four passes of a clip of two seconds: (6 + 0.5 * 2) + 3 * (6 + 2) seconds each.
    each = 5 * (7 + 3 * 8)
    assert report.rater_seconds == pytest.approx(each * report.samples)
    assert 3600 - each < report.rater_seconds <= 3600
    # Programs that read the name of earlier versions go on.
    assert plain(report)["seconds"] == report.rater_seconds


def test_a_budget_leaves_uniform_draws_what_they_are() -> None:
    """Dear samples that are drawn by chance are kept; what is chosen pays for them."""
    nothing: frozenset[str] = frozenset()
    candidates = [
        Candidate(name, Split.TRAIN, tuple(Modality), False, frozenset(), nothing) for name in "0123"
    ]
    clip_seconds = {"0": 1.0, "1": 9.0, "2": 1.0, "3": 1.0}
    costs = CostModel({m: PassCost(0.0, 1.0) for m in Modality}, clip_seconds, 1)
    roles = (Role.ACTIVE, Role.AUDIT, Role.ACTIVE, Role.HOLDOUT)
    chosen = [Choice(c, role, 0.0) for c, role in zip(candidates, roles, strict=True)]
    request = Request("auto", whole=True, budget_seconds=45.0)
    kept = choose_module._affordable(chosen, request, True, costs)
    assert [choice.candidate.sample_id for choice in kept] == ["0", "1", "3"]


def test_only_the_passes_of_the_tasks_that_were_named_are_asked(project: Project) -> None:
    fill(project)
    report = ask(project, n=6, tasks=["sentiment.T", "sentiment.A"])
    assert report.questions == {"A": 6, "T": 6}
    with pytest.raises(NothingToDo, match=r"sentiment\.M"):
        ask(project, tasks=["sentiment.M"])
    with pytest.raises(UsageError, match="no task is called") as caught:
        ask(project, tasks=["sentiment.t"])
    assert "sentiment.T" in caught.value.hint


def test_a_batch_has_one_size(project: Project) -> None:
    fill(project)
    with pytest.raises(UsageError, match="both say"):
        ask(project, n=5, budget="2h")
    with pytest.raises(UsageError, match="not a duration"):
        step.next_batch(project, budget="soon")


# Large pools


@pytest.mark.usefixtures("quick_training")
@pytest.mark.parametrize("strategy", ["entropy", "uniform"])
def test_of_a_pool_beyond_its_limit_only_so_many_are_ranked_and_a_note_says_so(
    project: Project, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subsample, "SHARD", 7)
    fill(project)
    ask(project, n=20)
    label_asked(project)
    batch = project.settings.batch.model_copy(update={"pool": 9})
    small = Project(project.root, project.settings.model_copy(update={"batch": batch}))
    report = ask(small, n=6, strategy=strategy, dry_run=True)
    assert any("9 were ranked" in note for note in report.notes)
    assert report == ask(small, n=6, strategy=strategy, dry_run=True)
    assert report.samples == 6


@pytest.mark.parametrize("strategy", ["entropy", "badge", "modal:json.dumps", "auto"])
@pytest.mark.parametrize("whole_samples", [True, False])
@pytest.mark.usefixtures("quick_training")
def test_tasks_that_the_model_does_not_know_are_begun_by_the_cold_start_and_it_says_so(
    project: Project, strategy: str, whole_samples: bool
) -> None:
    fill(project)
    ask(project, n=20)
    label_asked(project, {Modality.MULTIMODAL})
    report = ask(project, n=4, strategy=strategy, tasks=["sentiment.T"], whole_samples=whole_samples)
    assert report.round is not None
    assert report.strategy == "herding"
    assert any(f"{strategy} needs a model of the tasks that are asked" in note for note in report.notes)
    assert report.samples == 4
