"""What training says to material that cannot be, or can hardly be, learned from: through the command line."""

import json
import math

import numpy as np
import pytest

from annotate.config import settings as config
from annotate.errors import ConfigError, ModelError
from annotate.project import Project
from annotate.rounds.find import predict_round
from annotate.rounds.train import ensure_round
from annotate.steps import doctor as step
from annotate.steps.doctor import doctor
from annotate.steps.train import train
from annotate.types import Modality, Split
from db import models
from db.engine import reading, writing
from tests.support.factories import add_label
from tests.support.material import DIMS, fill, relabel, store

EMOTION = "emotion.M"


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name, value in {"HIDDEN": "8", "MEMBERS": "1", "EPOCHS": "5", "LEARNING_RATE": "0.01"}.items():
        monkeypatch.setenv(f"ANNOTATE_TRAIN__{name}", value)


def _refused(done, code, *said):
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1 and "\nhint: " in "\n" + done.stderr
    for words in said:
        assert words in done.stderr


def _learned(done):
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def _edit(project, old, new):
    path = project.root / config.FILE_NAME
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return Project.open(project.root)


def _check(project, name):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "INSTALLATION", {})
        patch.setattr(step, "PROJECT", {name: step.PROJECT[name]})
        (found,) = doctor(project).checks
    return found


# -- labels ---------------------------------------------------------------------------------------


def test_labels_without_a_task_leave_that_task_without_a_head(project, annotate):
    fill(project, speakers=4, each=4, labelled=("sentiment.T", "sentiment.M"))
    report = _learned(annotate("train", "--json", cwd=project.root))
    assert any("sentiment.A has no head: it needs 4 more train labels" in line for line in report["warnings"])


@pytest.mark.parametrize("command", ["train", "compare"])
def test_one_class_only(make_project, annotate, command):
    project = make_project(preset="emotion")
    task = next(t for t in project.settings.tasks() if t.dimension.kind == "classification")
    found = fill(project, speakers=4, each=4, labelled=())
    with writing(project.engine) as session:
        for sample_id in found[Split.TRAIN]:
            add_label(
                session, session.get(models.Sample, sample_id), task.id, task.dimension.answers[0].alias
            )
    _refused(annotate(command, cwd=project.root), 3, "a second class", "next-batch")


def test_three_samples(project, annotate):
    fill(project, speakers=1, each=3, split=Split.TRAIN)
    _refused(annotate("train", cwd=project.root), 3, "sentiment.T needs 1 more train label;", "next-batch")


def test_constant_labels_are_learned_and_told_of(project, annotate):
    found = fill(project, speakers=4, each=5)
    for sample_id in (i for ids in found.values() for i in ids):
        relabel(project, sample_id, "sentiment.V", 0.5)
    report = _learned(annotate("train", "--json", cwd=project.root))
    assert (
        "all train labels of sentiment.V are the same: its head can learn nothing else" in report["warnings"]
    )
    row = next(r for r in report["scores"] if r["task"] == "sentiment.V" and r["split"] == "test")
    assert "Corr" not in row or row["Corr"] is None
    assert row["MAE"] < 0.5


def test_one_group_only_trains_and_says_what_that_is_worth(project, annotate):
    fill(project, speakers=1, each=12, split=Split.TRAIN)
    report = _learned(annotate("train", "--json", cwd=project.root))
    assert any("all train labels are of one group" in line for line in report["warnings"])


# -- features -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_features_that_are_no_numbers(project, annotate, monkeypatch, value):
    """The store refuses them; these come from a shard that somebody made by hand."""
    found = fill(project, speakers=4, each=4)
    with monkeypatch.context() as patch:
        patch.setattr(np, "isfinite", lambda array: np.ones(np.shape(array), bool))
        store(project, {Modality.AUDIO: [(found[Split.TRAIN][2], np.full((3, 6), value, np.float32))]})
    with pytest.raises(ModelError, match="hold NaN or infinity"):
        ensure_round(project, device=None, seed=None)
    command = "train" if math.isnan(value) else "compare"
    _refused(annotate(command, cwd=project.root), 1, "the audio features of sample", "annotate extract")
    with reading(project.engine) as session:
        assert session.query(models.Round).count() == 0


def test_features_of_two_widths(project, annotate):
    found = fill(project, speakers=4, each=4)
    store(project, {Modality.VISION: [(found[Split.TRAIN][2], np.ones((3, 2), np.float32))]})
    _refused(annotate("train", cwd=project.root), 1, "columns, those of others", "annotate extract")


def test_a_sample_without_any_modality_is_learned_from_all_the_same(project, annotate):
    def empty(modality, k, frames):
        return np.zeros((1, DIMS[modality]), np.float32) if k % 5 == 0 else frames

    found = fill(project, speakers=5, each=5, change=empty)
    report = _learned(annotate("train", "--json", cwd=project.root))
    output = predict_round(project, report["round"], found[Split.TEST])
    said, codes = output.predictions, output.embeddings
    assert all(np.isfinite(one.mean).all() for one in said.values())
    assert np.isfinite(codes).all()


def test_features_that_got_another_width_since_the_model_was_trained(project, annotate):
    """The same extractor's name, other numbers: a damaged or hand-made shard."""
    found = fill(project, speakers=4, each=4)
    made = train(project).round
    wide = {m: [(i, np.ones((2, d + 1), np.float32)) for i in found[Split.TEST]] for m, d in DIMS.items()}
    store(project, wide)
    with pytest.raises(ModelError, match="another width") as raised:
        predict_round(project, made, found[Split.TEST])
    assert "annotate train" in raised.value.hint


def test_a_file_where_the_models_belong_is_told_of_before_anything_is_learned(project, annotate):
    fill(project, speakers=4, each=4)
    project.models.write_text("mine", encoding="utf-8")
    _refused(annotate("train", cwd=project.root), 1, "models", "move it away")
    assert project.models.read_text(encoding="utf-8") == "mine"


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('sharing = "hard"', 'sharing = "hrad"', ("train.sharing", "did you mean 'hard'?")),
        ('fusion = "concat"', 'fusion = "concat"\noptions.concat.layer = 2', ("'layer'", "'layers'")),
        (
            'encoder = "mean-pool"',
            'encoder = "mean-pool"\noptions.mean-pol.inner = 2',
            ("mean-pol", "'mean-pool'"),
        ),
    ],
)
@pytest.mark.parametrize("command", ["train", "compare"])
def test_a_plug_in_or_option_that_is_not_there(project, annotate, command, old, new, said):
    """Said before labels or features are looked at: there are none here."""
    project = _edit(project, old, new)
    done = annotate(command, cwd=project.root)
    _refused(done, 1, *said)
    with pytest.raises(ConfigError):
        ensure_round(project, device=None, seed=None)
    finding = _check(project, "network")
    assert finding["state"] == "fail" and said[0] in finding["detail"]


def test_a_preset_that_the_file_says_over_is_told_of(project, annotate):
    project = _edit(project, 'sharing = "hard"', 'sharing = "hard"\npreset = "mtfn"')
    finding = _check(project, "network")
    assert finding["state"] == "warn" and "batch_size" in finding["detail"]
    fill(project, speakers=4, each=4)
    assert any("the preset mtfn is overridden for" in line for line in train(project).warnings)


def test_a_model_of_other_settings_is_trained_anew_and_the_old_one_still_reads(project):
    found = fill(project, speakers=4, each=4)
    first = ensure_round(project, device=None, seed=None)
    assert first is not None
    edited = _edit(project, 'sharing = "hard"', 'sharing = "none"')
    second = ensure_round(edited, device=None, seed=None)
    assert second not in (None, first)
    for made in (first, second):
        assert predict_round(edited, made, found[Split.TEST]).predictions.keys() == {
            "sentiment.T", "sentiment.A", "sentiment.V", "sentiment.M",
        }  # fmt: skip


def test_a_model_whose_settings_are_not_its_own_is_refused_and_stays_where_it_is(project, annotate):
    found = fill(project, speakers=4, each=4)
    with writing(project.engine) as session:
        rows = session.query(models.Label).filter(models.Label.sample_id.in_(found[Split.TRAIN][:2]))
        for label in rows:
            session.delete(label)
    train(project)
    facts = project.models / "0001" / "model.json"
    told = facts.read_text(encoding="utf-8").replace('"hidden": 8', '"hidden": 9')
    facts.write_text(told, encoding="utf-8")
    done = annotate("next-batch", "-n", "2", "--dry-run", cwd=project.root)
    _refused(done, 1, "its weights do not fit its settings", "annotate train --force")
    assert facts.read_text(encoding="utf-8") == told


def test_a_log_that_cannot_be_written_is_told_of_before_anything_is_learned(project, monkeypatch):
    fill(project, speakers=4, each=4)
    monkeypatch.setattr("annotate.learning.events.find_spec", lambda name: True)
    monkeypatch.setenv("ANNOTATE_TRAIN__TENSORBOARD", config.FILE_NAME)
    with pytest.raises(ConfigError, match="tensorboard: the folder") as raised:
        train(Project.open(project.root))
    assert "another folder" in raised.value.hint


def test_facts_of_a_model_that_are_damaged_are_told_of_one_by_one(project):
    found = fill(project, speakers=4, each=4)
    made = ensure_round(project, device=None, seed=None)
    facts = project.models / "0001" / "model.json"
    told = json.loads(facts.read_bytes())
    for changes, said in (
        ({"fitted": []}, "no network"),
        ({"targets": {}}, "KeyError"),
        ({"recipe": {**told["recipe"], "fusion": "gone"}}, "no fusion is called 'gone'"),
        ({"recipe": {**told["recipe"], "hidden": "wide"}}, "do not fit its settings"),
    ):
        facts.write_text(json.dumps({**told, **changes}), encoding="utf-8")
        with pytest.raises(ModelError, match=said) as raised:
            predict_round(project, made, found[Split.TEST])
        assert raised.value.hint == "run `annotate train --force`"
    facts.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ModelError, match="RecursionError"):
        predict_round(project, made, found[Split.TEST])


def test_a_model_of_other_answers_is_refused(project):
    found = fill(project, speakers=4, each=4)
    made = ensure_round(project, device=None, seed=None)
    assert made is not None
    edited = _edit(project, '{ value = 1.0, label = "positive" }', '{ value = 3.0, label = "positive" }')
    with pytest.raises(ModelError, match="other answers") as raised:
        predict_round(edited, made, found[Split.TEST])
    assert raised.value.hint == "run `annotate train`"


# -- doctor ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "said", "do"),
    [
        (
            "INGEST__SEGMENTER",
            "subtitel",
            "ingest.segmenter: no segmenter is called 'subtitel'",
            "'subtitles'",
        ),
        ("INGEST__EXECUTOR", "proces", "ingest.executor: no executor is called 'proces'", "'process'"),
        ("INGEST__ADDRESS", "h:1", "the executor `process` runs on this machine", "ingest.address"),
        ("TRANSCRIBE__ENGINE", "whisper", "transcribe.engine: no transcriber", "'faster-whisper'"),
        ("FEATURES__AUDIO", "voice-stat", "features.audio: no extractor", "'voice-stats'"),
        (
            "FEATURES__AUDIO",
            "char-hash",
            "features.audio names 'char-hash', which reads text",
            "annotate list",
        ),
        ("BATCH__STRATEGY", "balt", "batch.strategy: no query strategy", "'bald'"),
        ("BATCH__COLD_START", "bald", "batch.cold_start is 'bald', which needs a model", "herding"),
    ],
)
def test_doctor_finds_what_other_sections_name_and_is_not_there(
    project, monkeypatch, variable, value, said, do
):
    assert _check(project, "plug-ins")["state"] == "ok"
    monkeypatch.setenv(f"ANNOTATE_{variable}", value)
    finding = _check(Project.open(project.root), "plug-ins")
    assert finding["state"] == "fail" and said in finding["detail"] and do in finding["do"]


def test_doctor_says_what_compiling_needs(project, monkeypatch):
    monkeypatch.setenv("ANNOTATE_TRAIN__COMPILE", "true")
    monkeypatch.setenv("ANNOTATE_TRAIN__DEVICE", "cpu")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("annotate.learning.hardware.COMPILERS", ())
    finding = _check(Project.open(project.root), "network")
    assert finding["state"] == "warn" and "C++ compiler" in finding["detail"]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("DEVICE", "gpu", "no device is called 'gpu'"),
        ("DEVICE", "cuda:99", "cuda:99 was asked for"),
        ("OPTIONS", '{"stacking": {"views": ["TX"]}}', "train.options.stacking.views"),
    ],
)
def test_doctor_says_which_device_or_option_cannot_be(project, monkeypatch, variable, value, said):
    monkeypatch.setenv(f"ANNOTATE_TRAIN__{variable}", value)
    monkeypatch.setenv("ANNOTATE_TRAIN__ENSEMBLE", "stacking")
    finding = _check(Project.open(project.root), "network")
    assert finding["state"] == "fail" and said in finding["detail"]


def test_doctor_says_that_the_log_lacks_its_package(project, monkeypatch):
    monkeypatch.setenv("ANNOTATE_TRAIN__TENSORBOARD", "runs")
    monkeypatch.setattr("annotate.learning.events.find_spec", lambda name: None)
    finding = _check(Project.open(project.root), "network")
    assert finding["state"] == "fail" and "tensorboard" in finding["detail"]
