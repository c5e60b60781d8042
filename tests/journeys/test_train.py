"""Training in a project: who is learned from, what is kept, and what a crash or a change does."""

import json
import subprocess
import sys

import numpy as np
import pytest

from annotate.corpus.features import feature_names
from annotate.errors import FeatureError, ModelError, NothingToDo, UsageError
from annotate.learning import train_step
from annotate.rounds import train as rounds_train
from annotate.rounds.find import predict_round
from annotate.rounds.train import ensure_round
from annotate.steps.train import train
from annotate.types import Modality, Role, Split
from db import models
from db.engine import reading, writing
from tests.support.factories import add_label, add_sample, add_video
from tests.support.leftovers import name_of_an_ended_process
from tests.support.material import fill, relabel


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name, value in {"HIDDEN": "8", "MEMBERS": "2", "EPOCHS": "40", "LEARNING_RATE": "0.01"}.items():
        monkeypatch.setenv(f"ANNOTATE_TRAIN__{name}", value)


def _rounds(project):
    with reading(project.engine) as session:
        return [(row.id, row.model) for row in session.query(models.Round).order_by(models.Round.id)]


# -- bad input ------------------------------------------------------------------------------------


def test_without_labels_there_is_nothing_to_do_and_it_says_how_many_are_missing(project, annotate):
    with pytest.raises(NothingToDo, match=r"sentiment\.T needs 4 more train labels") as error:
        train(project)
    assert "next-batch" in error.value.hint
    assert ensure_round(project, device=None, seed=None) is None
    done = annotate("train", cwd=project.root)
    assert done.returncode == 3
    assert "hint: " in done.stderr


def test_three_labels_are_too_few_and_four_are_enough(project):
    found = fill(project, speakers=3, each=4, labelled=())
    with writing(project.engine) as session:
        for sample_id in found[Split.TRAIN][:3]:
            add_label(session, session.get(models.Sample, sample_id), "sentiment.A", 1.0)
    with pytest.raises(NothingToDo, match=r"sentiment\.A needs 1 more"):
        train(project)
    with writing(project.engine) as session:
        add_label(session, session.get(models.Sample, found[Split.TRAIN][3]), "sentiment.A", 0.0)
    report = train(project)
    assert report.labels["sentiment.A"] == {"train": 4, "valid": 0, "test": 0}
    assert report.scores == []
    assert any("sentiment.A has no test labels" in warning for warning in report.warnings)
    assert any("sentiment.T has no head" in warning for warning in report.warnings)
    predictions = predict_round(project, report.round, found[Split.TEST]).predictions
    assert set(predictions) == {"sentiment.A"}


def test_one_class_only_is_not_learned(make_project):
    project = make_project(preset="emotion")
    task = next(t for t in project.settings.tasks() if t.dimension.kind == "classification")
    found = fill(project, speakers=3, each=6, labelled=())
    with writing(project.engine) as session:
        for sample_id in found[Split.TRAIN]:
            add_label(
                session, session.get(models.Sample, sample_id), task.id, task.dimension.answers[0].alias
            )
    with pytest.raises(NothingToDo, match="a second class"):
        train(project)


@pytest.mark.parametrize(("device", "error"), [("tpu", UsageError), ("cuda:97", ModelError)])
def test_a_device_that_cannot_be_leaves_nothing_behind(project, device, error):
    fill(project, speakers=3)
    with pytest.raises(error) as raised:
        train(project, device=device)
    assert raised.value.hint
    assert _rounds(project) == []
    assert not project.models.exists() or not list(project.models.iterdir())


def test_labels_without_features_ask_for_extract(project):
    with writing(project.engine) as session:
        video = add_video(session, "bare")
        for i in range(5):
            add_label(session, add_sample(session, video, start=3.0 * i), "sentiment.T", 1.0)
    with pytest.raises(FeatureError) as error:
        train(project)
    assert "annotate extract" in error.value.hint


def test_a_sample_whose_features_failed_is_left_out_and_counted(project):
    fill(project, speakers=3)
    with writing(project.engine) as session:
        sample = add_sample(session, add_video(session, "faulty"))
        add_label(session, sample, "sentiment.T", 1.0)
    assert any("1 labelled sample has no features" in warning for warning in train(project).warnings)


def test_a_training_that_fails_writes_nothing(project, monkeypatch):
    fill(project, speakers=3)
    losses_of = train_step.task_losses

    def poisoned(*args):
        losses, present = losses_of(*args)
        return losses * np.nan, present

    monkeypatch.setattr(train_step, "task_losses", poisoned)
    with pytest.raises(ModelError, match="no longer a number"):
        train(project)
    assert _rounds(project) == []
    assert list(project.models.glob("*")) == []


def test_a_damaged_or_missing_model_says_how_to_get_a_new_one(project):
    found = fill(project, speakers=3)
    first = train(project).round
    weights = project.models / "0001" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(ModelError) as error:
        predict_round(project, first, found[Split.TEST])
    assert error.value.hint == "run `annotate train --force`"
    with pytest.raises(ModelError, match="no round 99"):
        predict_round(project, 99, found[Split.TEST])
    again = train(project, force=True).round
    assert predict_round(project, again, found[Split.TEST]).embeddings.shape == (8, 8)


def test_other_features_than_those_trained_with_are_refused(project, monkeypatch):
    found = fill(project, speakers=3)
    first = train(project).round
    monkeypatch.setattr(
        "annotate.rounds.find.feature_names", lambda p: {**feature_names(p), Modality.AUDIO: "other@1"}
    )
    with pytest.raises(ModelError, match="audio") as error:
        predict_round(project, first, found[Split.TEST])
    assert error.value.hint == "run `annotate train`"


# -- promises -------------------------------------------------------------------------------------


def test_a_project_is_trained_scored_and_seen(each_project):
    project = each_project
    found = fill(project, each=12)
    report = train(project)
    assert _rounds(project) == [(report.round, "0001")]
    assert report.labels["sentiment.V"] == {"train": 96, "valid": 12, "test": 12}
    tests = {row["task"]: row for row in report.scores if row["split"] == "test"}
    assert set(tests) == {"sentiment.T", "sentiment.A", "sentiment.V", "sentiment.M"}
    assert all(row["n"] == 12 and row["Corr"] > 0.6 for row in tests.values())
    assert all(0 <= row["ece"] <= 1 for row in tests.values())
    assert any("12 test labels: these scores say little" in warning for warning in report.warnings)
    pairs = {(row["task"], row["other"]): row for row in report.conflicts}
    assert len(pairs) == 6 and all(-1 <= row["cosine"] <= 1 for row in pairs.values())
    output = predict_round(project, report.round, found[Split.TEST])
    predictions, codes = output.predictions, output.embeddings
    assert predictions["sentiment.T"].members.shape == (2, 12, 3)
    assert codes.shape == (12, 8)
    reverse = predict_round(project, report.round, found[Split.TEST][::-1]).predictions
    assert np.allclose(reverse["sentiment.T"].mean[::-1], predictions["sentiment.T"].mean, atol=1e-6)
    with reading(project.engine) as session:
        stored = session.get(models.Round, report.round)
        json.dumps([stored.metrics, stored.settings], allow_nan=False)


def test_nothing_is_trained_twice_unless_forced(each_project):
    project = each_project
    found = fill(project, speakers=4)
    first = train(project)
    again = train(project)
    assert again.round == first.round
    assert (again.scores, again.conflicts) == (first.scores, first.conflicts)
    assert "nothing changed" in again.note
    assert ensure_round(project, device=None, seed=None) == first.round
    forced = train(project, force=True)
    assert forced.round != first.round
    one, other = (
        predict_round(project, r, found[Split.TEST]).predictions["sentiment.M"]
        for r in (first.round, forced.round)
    )
    assert np.array_equal(one.members, other.members)
    assert train(project, seed=5).round not in (first.round, forced.round)


def test_a_changed_label_trains_anew(project):
    found = fill(project, speakers=3)
    first = ensure_round(project, device=None, seed=None)
    relabel(project, found[Split.TRAIN][0], "sentiment.T", 0.2)
    second = ensure_round(project, device=None, seed=None)
    assert second != first
    assert ensure_round(project, device=None, seed=None) == second


def test_an_audit_sample_is_never_trained_on(project):
    found = fill(project, speakers=4)
    audit = found[Split.TRAIN][3]
    with writing(project.engine) as session:
        batch = models.Batch(strategy="uniform", seed=0, settings={})
        session.add(batch)
        session.flush()
        session.add(models.Question(
            batch_id=batch.id, sample_id=audit, modality="T", role=Role.AUDIT, rank=0, score=0.0,
            state=models.QuestionState.CLOSED, key="k",
        ))  # fmt: skip
    first = train(project)
    assert first.labels["sentiment.T"]["train"] == 15
    # What is not learned from changes nothing, whatever its label says.
    relabel(project, audit, "sentiment.T", -1.0)
    assert train(project).round == first.round


def test_a_retired_sample_teaches_nothing(project):
    found = fill(project, speakers=3)
    with writing(project.engine) as session:
        session.get(models.Sample, found[Split.TRAIN][0]).status = models.SampleStatus.RETIRED
    assert train(project).labels["sentiment.T"]["train"] == 7


def test_a_model_without_a_row_is_swept_and_other_files_stay(project):
    fill(project, speakers=3)
    left = ("0066", name_of_an_ended_process())
    for name in ("0077", "2024", "notes", *left):
        (project.models / name).mkdir(parents=True)
        (project.models / name / "model.json").write_text("{}")
    (project.models / "0066" / ".annotate-unclaimed").touch()
    train(project)
    assert {p.name for p in project.models.iterdir()} == {"0001", "0077", "2024", "notes"}
    assert {p.name for p in (project.models / "0001").iterdir()} == {"model.json", "model.safetensors"}


def test_a_model_that_an_older_copy_of_the_database_does_not_know_stays(project):
    fill(project, speakers=3)
    (project.models / "0001").mkdir(parents=True)
    (project.models / "0001" / "model.json").write_text("of a database that was newer")
    train(project)
    assert (project.models / "0001" / "model.json").read_text() == "of a database that was newer"
    assert train(project).round == 1


def test_a_crash_between_model_and_row_leaves_no_round(project, monkeypatch):
    fill(project, speakers=3)
    with monkeypatch.context() as patch:
        patch.setattr("annotate.rounds.train.add_round", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(project)
    assert _rounds(project) == []
    assert train(project).round == 1
    assert [p.name for p in project.models.iterdir()] == ["0001"]


def test_the_command_prints_one_json_object(project, annotate):
    fill(project, speakers=3)
    done = annotate("train", "--json", "--device", "cpu", cwd=project.root)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["round"] == 1
    assert {row["task"] for row in report["scores"]} == {
        "sentiment.T", "sentiment.A", "sentiment.V", "sentiment.M",
    }  # fmt: skip


def test_while_a_model_is_trained_another_process_may_write(project, monkeypatch):
    fill(project)
    wait = "from annotate.project import Project; from pathlib import Path; import sys\n"
    wait += "with Project.open(Path(sys.argv[1])).writing(wait_seconds=0): print('wrote')"

    def slowly(*args, **options):
        done = subprocess.run(
            [sys.executable, "-c", wait, str(project.root)], capture_output=True, text=True, check=False
        )
        written.append(done.stdout.strip() or done.stderr)
        return fit(*args, **options)

    written, fit = [], rounds_train._fit
    monkeypatch.setattr(rounds_train, "_fit", slowly)
    train(project)
    ensure_round(project, device=None, seed=7)
    assert written == ["wrote", "wrote"]


def test_of_two_trainings_at_once_the_round_that_was_kept_first_counts_unless_forced(project, monkeypatch):
    fill(project)

    def overtaken(*args, **options):
        monkeypatch.setattr(rounds_train, "_fit", fit)
        ensure_round(project, device=None, seed=None)
        return fit(*args, **options)

    fit = rounds_train._fit
    for force, rounds in ((False, 1), (True, 2)):
        monkeypatch.setattr(rounds_train, "_fit", overtaken)
        assert train(project, force=force).round == rounds
        assert len(_rounds(project)) == rounds
