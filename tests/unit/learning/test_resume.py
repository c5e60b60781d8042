"""A training that was killed goes on where it was, and ends as if nothing had happened."""

from dataclasses import replace

import pytest
import torch

from annotate.learning import resume
from annotate.learning.device import repeatable
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.model_config import ModelConfig
from annotate.learning.progress import losses, note
from annotate.learning.results import Epoch, Fitted
from annotate.learning.resume import Checkpointer, TrainingState
from annotate.learning.trainer import fit
from annotate.progress import SILENT
from tests.contracts.test_part_contract import SMALL, labelled
from tests.unit.learning.test_sampling import batch, generators, members

RECIPE = ModelConfig(hidden=8, members=2, epochs=7, patience=4, batch_size=4, dropout=0.4)


@pytest.fixture(autouse=True)
def _at_every_epoch(monkeypatch):
    monkeypatch.setattr(resume, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(resume, "LARGEST_SHARE", 1e9)


class Killed(Exception):
    """Stands for the kill."""


def train(config, checkpointer=None, killed_after=None, seed=3):
    """The weights and how it went; the labels are noise, so that members stop at epochs of their own."""
    seen: list[int] = []

    def on_epoch(epoch: Epoch) -> None:
        seen.append(epoch.number)
        if epoch.number == killed_after:
            raise Killed

    with repeatable(seed, "cpu"):
        data = batch(torch.rand(10, 4) < 0.8)
        valid = batch(torch.rand(10, 4) < 0.8)
        made = members(config.members, config)
        fitted = fit(
            made, data, valid, config, generators(config.members, seed), on_epoch, checkpointer=checkpointer
        )
    return made.weights(), fitted, seen


def same(one: tuple[dict, list[Fitted], list], other: tuple[dict, list[Fitted], list]) -> bool:
    return one[1] == other[1] and all(torch.equal(one[0][name], other[0][name]) for name in one[0])


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"weighting": "dynamic-weight-average"},
        {"weighting": "uncertainty"},
        {"weighting": "gradnorm"},
        {"sampling": "one-task", "stopping": "task-wise"},
        {"members": 1},
    ],
    ids=str,
)
def test_killed_and_started_again_it_ends_with_the_very_same_weights(tmp_path, changed):
    config = replace(RECIPE, **changed)
    clean = train(config)
    with pytest.raises(Killed):
        train(config, Checkpointer(tmp_path), killed_after=4)
    again = train(config, Checkpointer(tmp_path))
    assert again[2][0] == 4  # the epoch whose end was not kept is run again
    assert same(clean, again)


MODELS = {
    "several trainings": {"ensemble": "boosting", "members": 3},
    "factors of samples": {"ensemble": "bagging"},
    "asked with dropout": {"ensemble": "mc-dropout"},
    "rehearsed": {
        "sharing": "sparse",
        "sampling": "one-task",
        "options": {"sparse": {"rounds": 1, "warm_up": 2, "epochs": 1}},
    },
    "searched": {"sharing": "hierarchical"},
}
"""Where a model takes more than one training, or more than labels decide one."""


class KilledBy(Checkpointer):
    """Writes at the end of every epoch, and dies after so many."""

    left = 0

    def keep(self, name, state, *, ended=False):
        super().keep(name, state, ended=ended)
        self.left -= 1
        if self.left == 0:
            raise Killed


@pytest.mark.parametrize("changed", MODELS.values(), ids=MODELS)
def test_a_model_of_several_trainings_is_the_same_however_often_they_are_killed(
    tmp_path, monkeypatch, changed
):
    config = replace(SMALL, epochs=2, dropout=0.3, **changed)

    def model(keep=None, said=None):
        progress = type("Told", (type(SILENT),), {"say": lambda self, line: said.append(line)})()
        return fit_ensemble(
            labelled(), config, seed=4, device="cpu", keep=keep, progress=SILENT if said is None else progress
        )

    clean = model()
    monkeypatch.setattr("annotate.learning.ensemble.Checkpointer", KilledBy)
    kills, said = 0, []
    for left in (1, 3, 6, 100):
        monkeypatch.setattr(KilledBy, "left", left)
        try:
            again = model(tmp_path, said)
        except Killed:
            kills += 1
    assert kills >= 1
    assert not any("is not resumed" in line for line in said)
    assert sum("resuming" in line for line in said) == 3  # each time but the first, and once
    assert again.fitted == clean.fitted and again.notes == clean.notes
    for one, other in zip(clean.members, again.members, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_without_the_state_of_dropout_the_weights_would_differ(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        train(RECIPE, Checkpointer(tmp_path), killed_after=4)
    monkeypatch.setattr(torch, "set_rng_state", lambda state: None)
    assert not same(train(RECIPE), train(RECIPE, Checkpointer(tmp_path)))


@pytest.mark.parametrize(
    ("changed", "seed"), [({"learning_rate": 2e-3}, 3), ({"dropout": 0.3}, 3), ({}, 4)], ids=str
)
def test_a_state_of_other_settings_or_another_seed_is_left_aside_with_a_word(tmp_path, changed, seed):
    with pytest.raises(Killed):
        train(RECIPE, Checkpointer(tmp_path), killed_after=3)
    said: list[str] = []
    config = replace(RECIPE, **changed)
    again = train(config, Checkpointer(tmp_path, said.append), seed=seed)
    assert again[2][0] == 1 and "is not resumed" in said[0]
    assert same(train(config, seed=seed), again)


def test_a_state_of_another_torch_is_left_aside(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        train(RECIPE, Checkpointer(tmp_path), killed_after=3)
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert train(RECIPE, Checkpointer(tmp_path))[2][0] == 1


@pytest.mark.parametrize("damage", [lambda c: c[:-7], lambda c: b"", lambda c: c[:50] + b"x" + c[51:]])
def test_a_damaged_state_is_left_aside_with_a_word(tmp_path, damage):
    with pytest.raises(Killed):
        train(RECIPE, Checkpointer(tmp_path), killed_after=3)
    (state,) = tmp_path.glob("*.state")
    state.write_bytes(damage(state.read_bytes()))
    said: list[str] = []
    again = train(RECIPE, Checkpointer(tmp_path, said.append))
    assert again[2][0] == 1 and "damaged" in said[0]


def test_a_disk_that_is_full_costs_the_state_and_not_the_training(tmp_path):
    (tmp_path / "file").write_text("")
    said: list[str] = []
    again = train(RECIPE, Checkpointer(tmp_path / "file" / "x", said.append))
    assert same(train(RECIPE), again)
    assert "could not be saved" in said[-1] or "cannot be read" in said[0]


def test_keeping_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "LARGEST_SHARE", 0.02)
    clock = [0.0]
    monkeypatch.setattr(resume.time, "monotonic", lambda: clock[0])
    checkpointer, written = Checkpointer(tmp_path), []

    def state() -> TrainingState:
        clock[0] += 1.0  # a slow disk
        written.append(clock[0])
        return TrainingState({}, {})

    for _ in range(1000):
        clock[0] += 1.0
        checkpointer.keep("a", state)
    assert len(written) / clock[0] <= 0.02 + 1 / clock[0]


def test_a_training_is_kept_at_its_end_when_it_took_long(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "EVERY_SECONDS", 20.0)
    clock = [0.0]
    monkeypatch.setattr(resume.time, "monotonic", lambda: clock[0])
    checkpointer = Checkpointer(tmp_path)
    for name, seconds in (("short", 4.0), ("long", 6.0)):
        checkpointer.find(name)
        clock[0] += seconds
        for ended in (False, True):
            checkpointer.keep(name, lambda: TrainingState({}, {}), ended=ended)
    assert [path.stem for path in tmp_path.iterdir()] == ["long"]


def test_what_is_said_of_an_epoch_fits_a_line():
    many = Epoch(12, 200, {f"sentiment.{i}": 0.5 for i in range(30)}, 0.25, 3)
    assert note(many) == "epoch 12, valid loss 0.250"
    assert len(losses(many)) < 90 and losses(many).endswith("more")
    assert losses(Epoch(1, 200, {"a.T": 0.5, "b.M": 1.0}, None, 1)) == "a.T 0.500, b.M 1.000"
