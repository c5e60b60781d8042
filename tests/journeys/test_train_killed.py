"""A training that is killed again and again ends with the very bytes of one that never was."""

import os
import signal
import subprocess
import sys
import time

import pytest

from annotate.rounds.housekeeping import UNFINISHED
from annotate.types import Split
from tests.conftest import ROOT
from tests.support.material import fill, relabel
from tests.support.processes import PATIENCE

RECIPE = {"HIDDEN": "16", "MEMBERS": "2", "EPOCHS": "30", "PATIENCE": "30", "BATCH_SIZE": "8"}
OFTEN = """
import sys
from annotate.learning import resume
resume.EVERY_SECONDS, resume.ENDED_SECONDS, resume.LARGEST_SHARE = 0.0, 0.0, 1e9
sys.argv = ["annotate", "train", "--device", "cpu", *sys.argv[1:]]
from cli import main
main()
"""
"""The command as it is, but for how often it writes: a test cannot wait for 20 seconds each time."""


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name, value in RECIPE.items():
        monkeypatch.setenv(f"ANNOTATE_TRAIN__{name}", value)


def start(project, *options):
    return subprocess.Popen(
        [sys.executable, "-c", OFTEN, *options], cwd=project.root, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def stopped(project, states, by=signal.SIGKILL):
    """Start training and stop it when it has written its state so many times; what it said."""
    running = start(project)
    seen, written = 0, states_of(project)
    while seen < states and running.poll() is None:
        time.sleep(0.002)
        found = states_of(project)
        seen, written = seen + (found != written), found
    running.send_signal(by)
    _, output = running.communicate(timeout=PATIENCE)
    return running.returncode, output


def states_of(project):
    found = []
    for path in (project.models / UNFINISHED).glob("*/*.state"):
        try:
            found.append((path.name, path.stat().st_mtime_ns))
        except FileNotFoundError:  # this instant
            continue
    return found


def finished(project, *options):
    running = start(project, *options)
    _, output = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, output
    return output


def models(project):
    """The files of each model, in the order of their making."""
    return [
        {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        for folder in sorted(project.models.iterdir())
    ]


def test_killed_at_any_moment_and_run_again_it_gives_the_same_bytes(project):
    fill(project)
    for states in (1, 4, 0, 9):
        returncode, said = stopped(project, states)
        assert returncode == -signal.SIGKILL, said
        assert list((project.models / UNFINISHED).iterdir()), said
    assert "resuming an unfinished training after epoch" in finished(project)
    assert [path.name for path in project.models.iterdir()] == ["0001"]
    assert "unfinished" not in finished(project, "--force")
    resumed, clean = models(project)
    assert resumed == clean


def test_interrupted_by_hand_it_says_so_and_goes_on_where_it_was(project):
    fill(project)
    returncode, said = stopped(project, 2, signal.SIGINT)
    assert returncode == 130
    assert said.splitlines()[-1] == "interrupted; run the command again to go on"
    assert "Traceback" not in said
    assert "resuming an unfinished training after epoch" in finished(project)


def test_of_changed_labels_nothing_unfinished_is_taken_up(project):
    found = fill(project)
    stopped(project, 2)
    relabel(project, found[Split.TRAIN][0], "sentiment.T", 0.2)
    assert "resuming" not in finished(project)
    assert list((project.models / UNFINISHED).iterdir())  # somebody may take the label back
