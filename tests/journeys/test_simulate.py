"""Replaying the loop on a labelled project: what comes out, what is kept, and what cannot be."""

import csv
import errno
import json
import signal
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from annotate.durable import write_whole
from annotate.errors import ModelError, NothingToDo, UnknownName, UsageError
from annotate.simulation import run_store
from annotate.steps.simulate import simulate
from annotate.types import Split
from tests.conftest import ROOT
from tests.support.material import DIMS, fill, store
from tests.support.processes import until

SMALL = {"HIDDEN": "8", "MEMBERS": "1", "EPOCHS": "3", "LEARNING_RATE": "0.01"}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name, value in SMALL.items():
        monkeypatch.setenv(f"ANNOTATE_TRAIN__{name}", value)


def _run(project, **options):
    said = {"strategies": "k-center", "seeds": 2, "start": 6, "step": 6, "until": 18, **options}
    return simulate(project, **said)


def _runs(folder):
    """Everything that was found, without what depends on the machine."""
    found = {}
    for path in sorted(folder.rglob("runs/**/*.json")):
        points = json.loads(path.read_bytes())["points"]
        for point in points:
            del point["select_seconds"], point["select_bytes"], point["train_seconds"]
        found[path.relative_to(folder).as_posix()] = points
    return found


# -- promises -------------------------------------------------------------------------------------


def test_a_labelled_project_is_replayed_and_a_page_a_picture_and_a_table_are_written(each_project, tmp_path):
    fill(each_project, speakers=8, each=5)
    report = _run(each_project, out=tmp_path / "out")
    assert [row["strategy"] for row in report.strategies] == ["uniform", "k-center"]
    assert "30 train samples" in report.basis and "5 test samples" in report.basis
    page = report.page.read_text(encoding="utf-8")
    assert "data:image/png;base64," in page and "Verdict" in page
    assert not any(word in page for word in ("http://", "https://", "<script"))
    assert report.picture.read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(report.points.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 2 * 2 * 3
    assert [float(row["samples"]) for row in rows[:3]] == [6, 12, 18]
    assert [float(row["labels"]) for row in rows[:3]] == [24, 48, 72]  # four tasks each
    # Five raters, each as long as [costs] says for a clip of two seconds.
    assert float(rows[0]["rater_seconds"]) == pytest.approx(5 * 6 * (6 + 1 + 3 * (6 + 2)))


def test_only_train_is_asked_each_sample_once_and_all_start_alike(project, tmp_path):
    found = fill(project, speakers=8, each=5)
    _run(project, strategies="k-center,entropy", out=tmp_path / "out")
    runs = _runs(tmp_path / "out")
    starts = {}
    for path, points in runs.items():
        if "all%20labels" in path:
            continue
        asked = [tuple(question) for point in points for question in point["asked"]]
        assert len(asked) == len(set(asked)) == 18 * 4
        assert {sample_id for sample_id, _ in asked} <= set(found[Split.TRAIN])
        starts.setdefault(path.rsplit("/", 1)[1], []).append((points[0]["asked"], points[0]["score"]))
    assert {len(one) for one in starts.values()} == {3}
    assert all(one == [one[0]] * 3 for one in starts.values())
    assert starts["0.json"][0] != starts["1.json"][0]


def test_the_same_again_does_nothing_anew_and_more_seeds_go_on(project, tmp_path, monkeypatch):
    fill(project, speakers=8, each=5)
    first = _run(project, out=tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("runs/**/*.json")}
    more = _run(project, out=tmp_path / "out", seeds=3, strategies="k-center,margin")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [row["strategy"] for row in more.strategies] == ["uniform", "k-center", "margin"]
    assert _run(project, out=tmp_path / "out").strategies == first.strategies


def test_a_run_that_was_cut_short_comes_to_the_same_end(project, tmp_path):
    fill(project, speakers=8, each=5)
    _run(project, out=tmp_path / "whole", strategies="entropy")
    _run(project, out=tmp_path / "cut", strategies="entropy")
    path = tmp_path / "cut" / "runs" / "entropy" / "1.json"
    kept = json.loads(path.read_bytes())
    path.write_text(json.dumps({**kept, "points": kept["points"][:2]}))
    (tmp_path / "cut" / "runs" / "uniform" / "0.json").write_text("{half")
    _run(project, out=tmp_path / "cut", strategies="entropy")
    assert _runs(tmp_path / "cut") == _runs(tmp_path / "whole")


@pytest.mark.slow
def test_killed_and_started_again_with_more_processes_it_finds_the_same(project, tmp_path):
    fill(project, speakers=8, each=5)
    _run(project, out=tmp_path / "whole", strategies="entropy", seeds=3)
    command = [
        sys.executable, str(ROOT / "cli.py"), "simulate", "--strategies", "entropy", "--seeds", "3",
        "--start", "6", "--step", "6", "--until", "18", "--out", str(tmp_path / "killed"), "--json",
    ]  # fmt: skip
    pipes = {"cwd": project.root, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    run = subprocess.Popen(command, **pipes)
    assert until(lambda: bool(list((tmp_path / "killed").rglob("runs/*/0.json"))))
    run.send_signal(signal.SIGKILL)
    run.communicate()
    again = subprocess.run([*command, "--jobs", "2"], **pipes, check=False)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["strategies"][0]["strategy"] == "uniform"
    assert _runs(tmp_path / "killed") == _runs(tmp_path / "whole")


# -- what cannot be -------------------------------------------------------------------------------


def test_a_project_without_labels_cannot_be_replayed(project):
    with pytest.raises(NothingToDo, match="nothing can be replayed"):
        _run(project)
    fill(project, speakers=8, each=5, labelled=())
    with pytest.raises(NothingToDo, match="nothing can be replayed"):
        _run(project)


def test_without_test_labels_nothing_can_be_measured(project):
    fill(project, speakers=8, each=5, split=Split.TRAIN)
    with pytest.raises(NothingToDo, match="no test sample has a label"):
        _run(project)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"strategies": "entropie"}, UnknownName, "entropie"),
        ({"strategies": " , "}, UsageError, "no strategy"),
        ({"start": 31, "until": 40}, UsageError, "--start 31 is more than the 30"),
        ({"until": 31}, UsageError, "--until 31 is more than the 30"),
        ({"until": 6}, UsageError, "not above --start"),
        ({"tasks": "sentiment.X"}, UsageError, "sentiment.X"),
        ({"votes": True}, NothingToDo, "no votes can be replayed"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(project, tmp_path, options, error, words):
    fill(project, speakers=8, each=5)
    with pytest.raises(error, match=words) as caught:
        _run(project, out=tmp_path / "out", **options)
    assert caught.value.hint
    assert not (tmp_path / "out").exists()


def test_a_strategy_that_can_rank_none_of_the_tasks_is_refused_at_once(project, tmp_path, monkeypatch):
    from annotate.registry import STRATEGIES

    fill(project, speakers=8, each=5)
    monkeypatch.setattr(STRATEGIES.get("entropy"), "kinds", frozenset(), raising=False)
    with pytest.raises(ModelError, match="entropy cannot rank regression"):
        _run(project, strategies="entropy", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_folder_of_another_simulation_is_left_alone(project, tmp_path):
    fill(project, speakers=8, each=5)
    _run(project, out=tmp_path / "out")
    before = _runs(tmp_path / "out")
    with pytest.raises(UsageError, match="holds another simulation: it differs in plan"):
        _run(project, out=tmp_path / "out", step=4)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        _run(project, out=tmp_path / "mine")
    assert _runs(tmp_path / "out") == before
    for damaged in ("[]", "{", ""):
        (tmp_path / "out" / "simulation.json").write_text(damaged)
        with pytest.raises(UsageError, match="is not empty"):
            _run(project, out=tmp_path / "out")


def test_other_features_of_test_samples_alone_are_another_simulation(project, tmp_path):
    ids = fill(project, speakers=8, each=5)
    _run(project, out=tmp_path / "out")
    rng = np.random.default_rng(0)
    others = {
        m: [(i, rng.normal(size=(3, d)).astype(np.float32)) for i in ids[Split.TEST]] for m, d in DIMS.items()
    }
    store(project, others, made_from="another recording")
    with pytest.raises(UsageError, match="holds another simulation: it differs in features"):
        _run(project, out=tmp_path / "out")


def test_one_seed_proves_nothing_and_says_so(project, tmp_path):
    fill(project, speakers=8, each=5)
    report = _run(project, seeds=1, out=tmp_path / "out")
    assert any("1 seed proves nothing" in line for line in report.verdict)
    assert all(row["p"] is None for row in report.strategies)


def test_a_folder_that_cannot_be_written_is_an_error_that_users_can_mend(project, tmp_path):
    fill(project, speakers=8, each=5)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught:
        _run(project, out=tmp_path / "file" / "out")
    assert caught.value.errno == errno.ENOTDIR  # `cli.main` says what to do


def test_no_folder_can_be_made_where_the_system_takes_none(project, tmp_path, monkeypatch):
    """As under /proc; who is not root is told something else there."""
    fill(project, speakers=8, each=5)

    def nowhere(path, content):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))

    monkeypatch.setattr(run_store, "write_whole", nowhere)
    with pytest.raises(UsageError, match="no folder can be made at") as caught:
        _run(project, out=tmp_path / "out")
    assert "--out" in caught.value.hint


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_strategy_that_cannot_use_the_model_is_told_before_any_other_is_replayed(project, tmp_path, jobs):
    fill(project, speakers=8, each=5)
    with pytest.raises(ModelError, match="needs an ensemble"):
        _run(project, strategies="bald", jobs=jobs, out=tmp_path / "out")
    assert not _runs(tmp_path / "out")


def test_a_full_disk_leaves_what_was_found_before(project, tmp_path, monkeypatch):
    fill(project, speakers=8, each=5)
    written = []

    def full(path, content):
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        write_whole(path, content)

    monkeypatch.setattr(run_store, "write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        _run(project, out=tmp_path / "out")
    kept = _runs(tmp_path / "out")
    assert [len(points) for points in kept.values()] == [2]
    monkeypatch.undo()
    for name, value in SMALL.items():
        monkeypatch.setenv(f"ANNOTATE_TRAIN__{name}", value)
    _run(project, out=tmp_path / "out")
    for path, points in kept.items():
        assert _runs(tmp_path / "out")[path][: len(points)] == points


def test_single_questions_are_replayed_beside_whole_samples_for_the_same_time(project, tmp_path):
    fill(project, speakers=8, each=5)
    report = _run(project, single_questions=True, members=2, out=tmp_path / "out")
    assert [row["strategy"] for row in report.strategies] == ["uniform", "k-center", "k-center by question"]
    runs = _runs(tmp_path / "out")
    single = next(points for path, points in runs.items() if "by%20question/0" in path)
    whole = next(points for path, points in runs.items() if "k-center/0" in path)
    assert single[0]["asked"] == whole[0]["asked"]
    passes = Counter(sample_id for sample_id, _ in single[1]["asked"])
    assert min(passes.values()) < 4  # some samples were asked in part
    spent = [points[1]["seconds"] - points[0]["seconds"] for points in (single, whole)]
    assert 0.5 * spent[1] < spent[0] <= 1.01 * spent[1]
    assert (
        _run(project, single_questions=True, members=2, out=tmp_path / "out").strategies == report.strategies
    )


def test_a_mistyped_strategy_is_told_before_anything_is_read(project):
    with pytest.raises(UnknownName, match="entropie"):
        _run(project, strategies="entropie")  # of a project without samples, which is told later


def test_where_a_sample_has_one_question_there_are_no_single_ones(project, tmp_path):
    fill(project, speakers=8, each=5)
    with pytest.raises(UsageError, match="single ones are whole samples"):
        _run(project, single_questions=True, tasks="sentiment.T", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tasks_that_name_none_are_not_all_of_them(project, annotate):
    for command in (["simulate", "--strategies", "entropy"], ["next-batch", "--dry-run"]):
        done = annotate("-C", project.root, *command, "--tasks", ",")
        assert done.returncode == 2 and "name" in done.stderr and "--tasks" in done.stderr
