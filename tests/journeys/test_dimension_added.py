"""A dimension that comes into annotate.toml after raters have finished samples."""

from pathlib import Path

import pytest

from annotate.errors import ConfigError, NothingToDo
from annotate.project import Project
from annotate.steps.export import export
from annotate.steps.next_batch import next_batch
from annotate.steps.status import status
from annotate.steps.train import train
from annotate.types import Modality, Split
from db import models
from db.engine import writing
from db.models import QuestionState
from tests.support.factories import add_label
from tests.support.material import fill

EMOTION = """
[[dimensions]]
name = "emotion"
kind = "classification"
answers = [{ value = "happy", label = "happy" }, { value = "sad", label = "sad" }]
"""


def finished(project: Project, *, speakers: int = 5) -> list[str]:
    """Samples that raters finished in every pass, with labels of sentiment."""
    found = fill(project, speakers=speakers, each=3)
    ids = sorted(i for split in Split for i in found[split])
    with writing(project.engine) as session:
        batch = models.Batch(strategy="uniform", seed=0, settings={})
        session.add(batch)
        session.flush()
        session.add_all(
            models.Question(
                batch_id=batch.id, sample_id=i, modality=m.value, role="active", rank=0, score=0.0,
                inclusion_probability=None, state=QuestionState.CLOSED, key=f"{i}{m.value}",
            )
            for i in ids for m in Modality
        )  # fmt: skip
    return ids


def with_emotion(project: Project, **require: str) -> Project:
    """The project after its user added a dimension, and perhaps said what exports require."""
    path = project.root / "annotate.toml"
    text = path.read_text(encoding="utf-8").replace("\n[checks]", f"{EMOTION}\n[checks]", 1)
    if require:
        text = text.replace("require = []", f"require = {require['require']}", 1)
    path.write_text(text, encoding="utf-8")
    project.engine.dispose()
    return Project.open(project.root)


def test_status_says_which_task_lacks_how_many_answers(each_project: Project) -> None:
    ids = finished(each_project)
    assert status(each_project).warnings == []
    later = with_emotion(each_project)
    (warning,) = status(later).warnings
    assert "emotion.T for 15 samples" in warning and "emotion.M for 15 samples" in warning
    assert 'export.require = ["sentiment.T", "sentiment.A", "sentiment.V", "sentiment.M"]' in warning
    with writing(later.engine) as session:
        for m in Modality:
            add_label(session, session.get_one(models.Sample, ids[0]), f"emotion.{m.value}", "sad")
    assert "emotion.M for 14 samples" in status(later).warnings[0]
    later.engine.dispose()


def test_an_export_without_a_finished_sample_names_the_dimension_and_required_tasks_bring_it_through(
    project: Project, tmp_path: Path
) -> None:
    finished(project)
    with pytest.raises(NothingToDo, match="15 partly labelled") as caught:
        export(with_emotion(project), format="jsonl", dest=tmp_path / "out")
    assert "emotion.M for 15 samples" in caught.value.hint and "export.require = [" in caught.value.hint
    path = project.root / "annotate.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("require = []", 'require = ["sentiment.M", "T"]'), encoding="utf-8")
    with pytest.raises(NothingToDo):
        export(Project.open(project.root), format="jsonl", dest=tmp_path / "out")
    path.write_text(text.replace("require = []", 'require = ["sentiment.M"]'), encoding="utf-8")
    report = export(Project.open(project.root), format="jsonl", dest=tmp_path / "out")
    assert sum(report.samples.values()) == 15
    assert status(Project.open(project.root)).warnings == []


def test_an_export_of_the_finished_ones_warns_of_those_that_lack_a_dimension(
    project: Project, tmp_path: Path
) -> None:
    ids = finished(project)
    later = with_emotion(project)
    with writing(later.engine) as session:
        for m in Modality:
            add_label(session, session.get_one(models.Sample, ids[0]), f"emotion.{m.value}", "sad")
    report = export(later, format="jsonl", dest=tmp_path / "out")
    assert sum(report.samples.values()) == 1
    assert "emotion.M for 14 samples" in report.warnings[0]


def test_training_and_the_next_batch_warn_too(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HIDDEN": "4", "MEMBERS": "1", "EPOCHS": "2"}.items():
        monkeypatch.setenv(f"ANNOTATE_TRAIN__{name}", value)
    ids = finished(project, speakers=9)
    later = with_emotion(project)
    assert any("emotion.M for 27 samples" in line for line in train(later).warnings)
    with writing(later.engine) as session:
        for item in session.query(models.Question).filter_by(sample_id=ids[0]):
            item.state = QuestionState.WITHDRAWN
    assert any("emotion.M for 26 samples" in note for note in next_batch(later, dry_run=True).notes)
    for whole in (True, False):
        dry = next_batch(later, n=10, dry_run=True, tasks=("emotion.M", "emotion.T"), whole_samples=whole)
        assert {item.passes for item in dry.items if item.sample != ids[0]} == {"TM"}
        assert "multimodal pass (emotion)" in " ".join(dry.notes)


@pytest.mark.parametrize(
    ("require", "message", "hint"),
    [
        ('["sentiment.X"]', "neither a pass", ""),
        ('["sentiment"]', "neither a pass", ""),
        ('["sentimnt.M"]', "there is no such task", "did you mean 'sentiment.M'?"),
    ],
)
def test_what_is_required_and_cannot_be_is_told_with_the_nearest(
    project: Project, tmp_path: Path, require: str, message: str, hint: str
) -> None:
    path = project.root / "annotate.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("require = []", f"require = {require}"), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        export(Project.open(project.root), format="jsonl", dest=tmp_path / "out")
    assert hint in caught.value.hint
