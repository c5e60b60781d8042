"""What is told of a training: on the bar, and for TensorBoard, read back by its own reader."""

from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from annotate.console import Terminal
from annotate.errors import ConfigError
from annotate.learning import events, resume
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.events import Events, require_tensorboard
from annotate.learning.progress import ProgressReporter
from annotate.learning.results import Epoch
from annotate.progress import SILENT
from tests.contracts.test_part_contract import SMALL, labelled
from tests.support.needs import cannot
from tests.unit.learning.test_resume import Killed
from tests.unit.learning.test_sampling import batch, generators, members


@pytest.fixture
def tensorboard():
    if find_spec("tensorboard") is None:
        cannot("no tensorboard: pip install -e '.[tensorboard]'")


RECIPE = replace(SMALL, epochs=4, ensemble="boosting", members=2, weighting="uncertainty")


def told(folder):
    """By name: (step, value) of each point that is shown."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(folder)).Reload()
    return {name: [(e.step, e.value) for e in log.Scalars(name)] for name in log.Tags()["scalars"]}


@pytest.mark.usefixtures("tensorboard")
def test_the_log_has_every_epoch_of_every_training_with_losses_and_weights(tmp_path):
    made = fit_ensemble(labelled(), RECIPE, seed=0, device="cpu", events=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
    for k, fitted in enumerate(made.fitted):
        seen = told(tmp_path / str(k + 1))
        for task_id, loss in fitted.losses.items():
            points = seen[f"train loss/{task_id}"]
            assert [step for step, _ in points] == list(range(1, fitted.epochs + 1))
            assert points[-1][1] == pytest.approx(loss, rel=1e-5)
            assert f"weight/{task_id}" in seen
        assert ("valid loss" in seen) == (fitted.valid_loss is not None)
        assert seen["members that learn"][0] == (1, 1.0)


@pytest.mark.usefixtures("tensorboard")
def test_writing_a_log_changes_no_weight(tmp_path):
    one, other = (
        fit_ensemble(labelled(), RECIPE, seed=0, device="cpu", events=folder) for folder in (None, tmp_path)
    )
    for a, b in zip(one.members, other.members, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.usefixtures("tensorboard")
def test_a_training_that_was_killed_goes_on_in_the_same_log_and_no_epoch_is_shown_twice(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(resume, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(resume, "LARGEST_SHARE", 1e9)
    keep, log = tmp_path / "keep", tmp_path / "log"

    def train():
        return fit_ensemble(labelled(), RECIPE, seed=0, device="cpu", keep=keep, events=log)

    with monkeypatch.context() as patch:
        written, tell = [], Events.__call__

        def dies(self, epoch):
            tell(self, epoch)
            written.append(epoch)
            if len(written) == 6:  # the second epoch of the second training
                self.end()
                raise Killed

        patch.setattr(Events, "__call__", dies)
        with pytest.raises(Killed):
            train()
    made = train()
    for k, fitted in enumerate(made.fitted):
        steps = [step for step, _ in told(log / str(k + 1))["members that learn"]]
        assert steps == list(range(1, fitted.epochs + 1))


@pytest.mark.parametrize("name", ["fixed", "uncertainty", "gradnorm", "pcgrad"])
def test_the_weights_of_tasks_are_those_that_their_losses_are_multiplied_by(name):
    from annotate.learning.trainer import _Run

    torch.manual_seed(0)
    config = replace(SMALL, weighting=name, options={"fixed": {"T": 3.0}} if name == "fixed" else {})
    run = _Run(
        members(2, config), batch(torch.ones(8, 4, dtype=torch.bool)), None, config, generators(2), None
    )
    weights = run.one_epoch().weights()
    if name == "fixed":
        assert weights == pytest.approx(dict(zip(weights, (3.0, 1.0, 1.0, 1.0), strict=True)))
    elif name == "uncertainty":
        expected = (0.5 * torch.exp(-run.weighting.log_variance())).mean(dim=0)
        assert list(weights.values()) == pytest.approx(expected.tolist())
    else:
        assert np.mean(list(weights.values())) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.usefixtures("tensorboard")
def test_without_the_package_the_way_out_is_said(monkeypatch):
    require_tensorboard()
    monkeypatch.setattr(events, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="not installed") as error:
        require_tensorboard()
    assert "[tensorboard]" in error.value.hint


class Shown:
    """What a bar was told."""

    def __init__(self):
        self.done, self.total, self.notes = 0.0, 0.0, []

    def advance(self, amount=1, note=""):
        self.done += amount
        self.notes.append(note)

    def expect(self, total):
        self.total = total

    def line(self, key, text):
        pass


def epoch(number: int, most: int = 9) -> Epoch:
    return Epoch(number, most, {"sentiment.T": 0.5}, 0.25, 2)


def test_a_bar_counts_the_epochs_of_all_trainings_and_expects_what_is_left():
    bar = Shown()
    tell = ProgressReporter(bar)
    tell.begin()
    tell(epoch(4))  # it goes on after a kill
    tell(epoch(5))
    assert (bar.done, bar.total) == (5, 9)
    tell.end()
    assert bar.total == 5  # it stopped early
    tell.begin()
    tell(epoch(1))
    assert (bar.done, bar.total) == (6, 14)
    assert bar.notes[1:] == ["epoch 5, valid loss 0.250", "training 2, epoch 1, valid loss 0.250"]


def test_without_a_terminal_a_line_tells_epoch_loss_and_time_left(monkeypatch, capsys):
    from annotate import console

    clock = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: clock[0])
    with Terminal().bar("train", 200) as bar:
        tell = ProgressReporter(bar)
        tell.begin()
        for number in range(1, 11):
            clock[0] += 4.0
            tell(epoch(number, 50))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["train: 8/50, 0:02:48 left, epoch 8, valid loss 0.250"]


def test_losses_reach_the_bar_while_a_model_is_trained():
    seen = []

    class Watched(type(SILENT)):
        @contextmanager
        def bar(self, title, total, unit=""):
            bar = Shown()
            bar.line = lambda key, text: seen.append(text)
            yield bar

    fit_ensemble(labelled(), replace(SMALL, epochs=2), seed=0, device="cpu", progress=Watched())
    assert len(seen) == 2 and seen[0].startswith("sentiment.T ")
