"""Comparing ways to train in a project: what is looked at, said, kept and written."""

import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from annotate.comparison import candidates as _arms
from annotate.config import settings as config
from annotate.errors import ModelError, NothingToDo, UsageError
from annotate.project import Project
from annotate.steps.compare import compare
from annotate.types import Modality, Role, Split
from db import models
from db.engine import reading, writing
from tests.conftest import ROOT
from tests.support.factories import add_label
from tests.support.material import fill, relabel
from tests.support.processes import until

SMALL = {"HIDDEN": "8", "MEMBERS": "1", "EPOCHS": "3", "LEARNING_RATE": "0.01"}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name, value in SMALL.items():
        monkeypatch.setenv(f"ANNOTATE_TRAIN__{name}", value)


def _rows(report, task):
    return {row["variant"]: row for row in report.scores if row["task"] == task}


# -- promises -------------------------------------------------------------------------------------


def test_variants_are_scored_on_groups_they_never_saw_and_the_controls_take_part(project):
    fill(project, speakers=8, each=6)
    report = compare(project, variants="fusion=gated", folds=3)
    assert [row["variant"] for row in report.variants] == [
        "fusion=gated", "present", "single-task", "no-unimodal-labels",
    ]  # fmt: skip
    assert "7 groups (42 samples of train and valid)" in report.basis
    assert "test was not looked at" in report.basis
    for task in ("sentiment.T", "sentiment.A", "sentiment.V"):
        assert set(_rows(report, task)) == {"fusion=gated", "present", "single-task"}
    rows = _rows(report, "sentiment.M")
    assert set(rows) == {"fusion=gated", "present", "single-task", "no-unimodal-labels"}
    for row in report.scores:
        assert row["low"] <= row["points"] <= row["high"] and row["measure"] == "Corr"
        assert row["CCC"] == report.metrics[row["variant"]][row["task"]]["CCC"]
    single = next(row for row in report.variants if row["variant"] == "single-task")
    assert (single["difference"], single["from"], single["to"]) == (0, 0, 0)
    assert single["parameters"] > next(r for r in report.variants if r["variant"] == "present")["parameters"]
    bare = next(row for row in report.variants if row["variant"] == "no-unimodal-labels")
    assert bare["points"] is None
    assert report.metrics["present"]["sentiment.T"]["n"] == 42
    assert any(line.startswith("the labels of T, A and V ") for line in report.verdict)
    assert any(line.startswith("multi-task ") for line in report.verdict)


def test_where_tasks_have_nothing_to_do_with_each_other_it_says_that_multi_task_does_not_help(project):
    found = fill(project, speakers=8, each=6, labelled=())
    rng = np.random.default_rng(1)
    with writing(project.engine) as session:
        for sample_id in (*found[Split.TRAIN], *found[Split.VALID]):
            sample = session.get(models.Sample, sample_id)
            for task_id in ("sentiment.T", "sentiment.A"):
                add_label(session, sample, task_id, float(rng.choice([-1.0, 0.0, 1.0])))
    report = compare(project, variants="present", folds=3)
    assert report.verdict[0].startswith(
        "multi-task does not help here: no variant is better than single-task"
    )
    assert report.winner == "present"


def test_single_task_shares_no_table_and_no_words_of_the_user_make_it(project, monkeypatch):
    """With a table that all tasks share, the present settings are multi-task though `sharing` is `none`."""
    monkeypatch.setenv("ANNOTATE_FEATURES__TEXT", "word-ids")
    monkeypatch.setenv("ANNOTATE_TRAIN__TEXT_ENCODER", "lookup-table")
    monkeypatch.setenv("ANNOTATE_TRAIN__SHARING", "none")
    monkeypatch.setenv("ANNOTATE_TRAIN__OPTIONS", '{"lookup-table": {"shared": true, "rows": 9}}')

    def words(modality, k, frames):
        return np.full((2, 2), k, np.float32) if modality is Modality.TEXT else frames

    project = Project.open(project.root)
    fill(project, speakers=6, each=7, change=words)
    report = compare(project, variants="present", folds=2)
    rows = {row["variant"]: row for row in report.variants}
    tables = (rows["single-task"]["parameters"] - rows["present"]["parameters"]) / (9 * 32)
    assert tables == 1  # one for sentiment.T, one for sentiment.M
    assert report.verdict[0].startswith("multi-task ") and "present" in report.verdict[0]


def test_a_variant_that_says_its_members_has_them(project):
    candidates = {
        candidate.name: candidate.config.members
        for candidate in _arms.make_candidates(project, "members=3,fusion=gated", 2)
    }
    assert candidates == {
        "members=3": 3,
        "fusion=gated": 2,
        "present": 2,
        "single-task": 2,
        "no-unimodal-labels": 2,
    }


@pytest.mark.slow
def test_two_at_once_say_the_same_as_one(project):
    fill(project, speakers=6, each=4)
    command = [
        sys.executable,
        str(ROOT / "cli.py"),
        "compare",
        "--variants",
        "present",
        "--folds",
        "2",
        "--json",
    ]
    pipes = {"cwd": project.root, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    runs = [subprocess.Popen(command, **pipes) for _ in range(2)]
    found = [(run.communicate(), run.returncode) for run in runs]
    assert [code for _, code in found] == [0, 0], found
    one, other = (json.loads(out) for (out, _), _ in found)
    assert one["scores"] == other["scores"]


def test_neither_test_labels_nor_audit_samples_change_anything(project):
    found = fill(project, speakers=6, each=5)
    audit = found[Split.TRAIN][2]
    with writing(project.engine) as session:
        batch = models.Batch(strategy="uniform", seed=0, settings={})
        session.add(batch)
        session.flush()
        session.add(models.Question(
            batch_id=batch.id, sample_id=audit, modality="T", role=Role.AUDIT, rank=0, score=0.0,
            state=models.QuestionState.CLOSED, key="k",
        ))  # fmt: skip
    first = compare(project, variants="present", folds=2)
    assert "24 samples" in first.basis
    results = sorted((project.root / _arms.FOLDER).rglob("*.json"))
    for sample_id in (audit, *found[Split.TEST]):
        relabel(project, sample_id, "sentiment.T", -1.0)
    again = compare(project, variants="present", folds=2)
    assert replace(again, expected_seconds=first.expected_seconds) == first
    assert sorted((project.root / _arms.FOLDER).rglob("*.json")) == results


def test_what_is_done_is_not_done_again_and_is_swept_when_a_label_changes(project, monkeypatch):
    found = fill(project, speakers=5, each=4)
    first = compare(project, variants="present", folds=2)
    folder = project.root / _arms.FOLDER
    results = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}
    assert len(results) == 6
    with monkeypatch.context() as patch:
        patch.setattr("annotate.learning.ensemble.fit_ensemble", lambda *_, **__: 1 / 0)
        again = compare(project, variants="present", folds=2)
        assert replace(again, expected_seconds=first.expected_seconds) == first
        with pytest.raises(ZeroDivisionError):
            compare(project, variants="fusion=gated", folds=2)
    more = compare(project, variants="fusion=gated", folds=2)
    assert _rows(more, "sentiment.M")["present"] == _rows(first, "sentiment.M")["present"]
    assert results.items() <= {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}.items()
    relabel(project, found[Split.TRAIN][0], "sentiment.T", 0.1)
    compare(project, variants="present", folds=2)
    assert not results.keys() & set(folder.rglob("*.json"))


@pytest.mark.slow
def test_killed_and_run_again_it_goes_on_and_says_the_same(project):
    fill(project, speakers=6, each=5)
    command = [sys.executable, str(ROOT / "cli.py"), "compare", "--variants", "fusion=gated", "--json"]
    folder = project.root / _arms.FOLDER
    with subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert until(lambda: len(list(folder.rglob("*.json"))) >= 3)
        run.send_signal(signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}
    assert 3 <= len(kept) < 20
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=True)
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    report = json.loads(done.stdout)
    alone = Project.open(project.root)
    fresh = compare(alone, variants="fusion=gated", seed=None)
    assert report["scores"] == fresh.scores


def test_apply_writes_a_clear_winner_and_nothing_else(project, monkeypatch):
    """The present settings cannot learn anything; the variant can."""
    for name in SMALL:
        monkeypatch.delenv(f"ANNOTATE_TRAIN__{name}")
    path = project.root / config.FILE_NAME
    text = path.read_text(encoding="utf-8").replace("learning_rate = 0.001", "learning_rate = 1e-9  # hm")
    text = text.replace("members = 5 ", "members = 1 ").replace("epochs = 200 ", "epochs = 15 ")
    path.write_text(text.replace("hidden = 64", "hidden = 8"), encoding="utf-8")
    project = Project.open(project.root)
    fill(project, speakers=8, each=5)
    dry = compare(project, variants="learning_rate=0.02", folds=2)
    assert (dry.winner, dry.written) == ("learning_rate=0.02", [])
    assert dry.next == "annotate compare --apply"
    assert path.read_text(encoding="utf-8") == text.replace("hidden = 64", "hidden = 8")
    report = compare(project, variants="learning_rate=0.02", folds=2, apply=True)
    assert report.written == ["train.learning_rate = 0.02"]
    changed = text.replace("hidden = 64", "hidden = 8").replace("1e-9  # hm", "0.02  # hm")
    assert path.read_text(encoding="utf-8") == changed
    after = compare(Project.open(project.root), variants="learning_rate=1e-9", folds=2, apply=True)
    assert (after.winner, after.written) == ("present", [])
    assert any("nothing was written" in line for line in after.warnings)


def test_few_groups_are_compared_but_never_believed(project, monkeypatch):
    fill(project, speakers=4, each=6)
    monkeypatch.setattr("annotate.comparison.verdict.choose", lambda *_: "fusion=gated")
    report = compare(project, variants="fusion=gated", apply=True)
    assert any("18 samples are too few for a verdict" in line for line in report.warnings)
    assert any("5 folds were asked for" in line for line in report.warnings)
    assert report.written == []
    assert any("nothing was written" in line for line in report.warnings)


def test_more_seeds_make_other_folds_and_members_may_be_said(project):
    fill(project, speakers=5, each=4)
    report = compare(project, variants="present", folds=2, seeds=2, members=2)
    assert "seeds 2, members 2" in report.basis
    assert len(list((project.root / _arms.FOLDER).rglob("*.json"))) == 3 * 4


def test_a_single_task_is_told_that_there_is_nothing_to_share(project):
    fill(project, speakers=7, each=6, labelled=("sentiment.A",))
    report = compare(project, variants="present", folds=2)
    assert report.verdict == ["there is one task, sentiment.A: tasks cannot share anything"]
    assert any("too few labels of sentiment.T, sentiment.V, sentiment.M" in line for line in report.warnings)


def test_the_command_prints_one_object_and_a_readable_page(project, annotate):
    fill(project, speakers=6, each=4)
    done = annotate("compare", "--variants", "present", "--folds", "2", "--json", cwd=project.root)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["winner"] == "present" and "metrics" in report
    page = annotate("compare", "--variants", "present", "--folds", "2", cwd=project.root)
    assert "no-unimodal-labels" in page.stdout and "metrics" not in page.stdout
    assert "Traceback" not in page.stderr


def test_help_needs_no_torch():
    code = """
import sys
sys.argv = ["annotate", "compare", "--help"]
import cli
try:
    cli.main()
except SystemExit:
    print([name for name in ("torch", "numpy", "tomlkit", "sqlalchemy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


# -- bad input ------------------------------------------------------------------------------------


def test_without_labels_there_is_nothing_to_do(project, annotate):
    done = annotate("compare", cwd=project.root)
    assert done.returncode == 3
    assert "too few labels to compare" in done.stderr and "hint: run `annotate next-batch`" in done.stderr


def test_four_labels_of_which_some_are_held_out_teach_nothing(project):
    fill(project, speakers=4, each=1)
    with writing(project.engine) as session:
        for label in session.query(models.Label).filter(models.Label.task_id != "sentiment.T"):
            session.delete(label)
    with pytest.raises(NothingToDo):
        compare(project)


def test_one_group_cannot_be_divided(project, annotate):
    fill(project, speakers=1, each=12, split=Split.TRAIN)
    with pytest.raises(ModelError, match="one group"):
        compare(project)
    done = annotate("compare", cwd=project.root)
    assert done.returncode == 1
    assert "are in one group" in done.stderr and "another speaker" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ("mtnf", "no variant is called 'mtnf'"),
        ("sharing=crosstitch", "no sharing is called 'crosstitch'"),
        ("sharng=none", "unknown key 'sharng'"),
        ("hidden=many", "hidden"),
        ("options.tensor.sise=3+fusion=tensor", "no option 'sise'"),
    ],
)
def test_a_variant_that_cannot_be_is_refused_before_anything_is_computed(project, variants, message):
    with pytest.raises(UsageError, match=message) as raised:
        compare(project, variants=variants)
    assert raised.value.hint
    assert not (project.root / _arms.FOLDER).exists()


def test_a_damaged_cell_is_made_again(project):
    fill(project, speakers=5, each=4)
    first = compare(project, variants="present", folds=2)
    for path in (project.root / _arms.FOLDER).rglob("*.json"):
        path.write_text(path.read_text()[:40])
    assert compare(project, variants="present", folds=2).scores == first.scores


def test_nothing_is_written_to_the_database(project):
    fill(project, speakers=5, each=4)
    compare(project, variants="present", folds=2)
    with reading(project.engine) as session:
        assert session.query(models.Round).count() == 0
    assert Modality.MULTIMODAL in project.settings.passes


# -- what is said before --------------------------------------------------------------------------


class Lines:
    """A progress that keeps what is said and which bars are opened, in order."""

    def __init__(self):
        self.told = []

    def bar(self, title, total, unit=""):
        from annotate.progress import SILENT

        self.told.append(f"[{title}]")
        return SILENT.bar(title, total, unit)

    def say(self, line):
        self.told.append(line)


def test_too_few_samples_and_the_expected_time_are_told_before_training_and_the_verdict_says_so_too(project):
    fill(project, speakers=7, each=2)
    lines = Lines()
    report = compare(project, variants="fusion=gated", folds=2, progress=lines)
    before = lines.told[: lines.told.index("[compare]")]
    assert any(line.startswith("12 samples are too few for a verdict: 30 or more") for line in before)
    assert any(line.startswith("expected time: ") and "for 8 trainings" in line for line in before)
    assert 0 < report.expected_seconds["least"] <= report.expected_seconds["most"]
    assert report.verdict == [
        "12 samples are too few for a verdict: 30 or more are needed; the estimates vary by chance"
    ]
    assert {row["verdict"] for row in report.scores} <= {"", "too few labels"}
    assert report.winner == "present"
    again = Lines()
    assert compare(project, variants="fusion=gated", folds=2, progress=again).expected_seconds["most"] == 0
    assert any("an earlier call did every training" in line for line in again.told)


def test_what_is_told_before_goes_to_stderr_and_the_report_stays_one_object(project, annotate):
    fill(project, speakers=7, each=2)
    done = annotate("compare", "--variants", "present", "--folds", "2", "--json", cwd=project.root)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["expected_seconds"]) == {"least", "most"}
    assert "too few for a verdict" in done.stderr and "expected time: " in done.stderr
