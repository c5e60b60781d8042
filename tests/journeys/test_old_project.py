"""A project that an early version made opens with this one, with its answers, labels, questions and model.

`tests/fixtures/old_project` says how it was made. Its clips are not part of it.
"""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from annotate.errors import FeatureError, SchemaMismatch
from annotate.learning import checkpoint
from annotate.project import Project
from annotate.steps.doctor import doctor
from annotate.steps.export import export
from annotate.steps.extract import extract
from annotate.steps.migrate import migrate
from annotate.steps.next_batch import next_batch
from annotate.steps.pull import pull
from annotate.steps.samples_show import show_sample
from annotate.steps.status import status
from annotate.steps.train import train
from db.engine import reading
from db.models import Round
from tests.conftest import ROOT

OLD = ROOT / "tests" / "fixtures" / "old_project"


@pytest.fixture
def old(tmp_path):
    """A copy of the project, not migrated yet."""
    shutil.unpack_archive(OLD / "corpus.zip", tmp_path / "corpus")
    return Project.open(tmp_path / "corpus")


@pytest.fixture
def migrated(old):
    """The same after `annotate migrate`."""
    migrate(old)
    yield old
    old.engine.dispose()


STEPS = {
    "status": status,
    "pull": pull,
    "next-batch": lambda project: next_batch(project, n=1),
    "train": train,
    "extract": extract,
    "export": lambda project: export(project, format="jsonl", dest=project.root / "exported"),
    "samples show": lambda project: show_sample(project, "any"),
}


@pytest.mark.parametrize("step", STEPS)
def test_what_needs_the_new_schema_names_migrate_first(old, step):
    with pytest.raises(SchemaMismatch) as error:
        STEPS[step](old)
    assert "annotate migrate" in error.value.hint


def test_doctor_names_migrate(old):
    report = doctor(old)
    assert not report.healthy
    assert "annotate migrate" in str(report.checks)


def _rows(path, columns=None):
    """By table: the names of the columns, those of `columns` if given, and all rows, sorted."""
    with closing(sqlite3.connect(path)) as connection:
        if columns is None:
            names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
            columns = {
                table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                for (table,) in connection.execute(names).fetchall()
            }
        return columns, {
            table: sorted(connection.execute(f"SELECT {', '.join(named)} FROM {table}").fetchall(), key=repr)
            for table, named in columns.items()
        }


def test_migration_keeps_every_value_of_every_row(old):
    columns, before = _rows(old.root / "annotate.db")
    report = migrate(old)
    assert (report.before, len(before["annotation"]) > 100, len(before["round"])) == ("0002", True, 1)
    assert _rows(old.root / "annotate.db", columns)[1] == before
    assert _rows(report.backup)[1] == before


def test_labels_are_exported_as_the_old_version_exported_them(migrated):
    export(migrated, format="jsonl", dest=migrated.root / "exported")
    for split in ("train", "valid", "test"):
        old, new = (
            [json.loads(line) for line in (folder / f"{split}.jsonl").read_text("utf-8").splitlines()]
            for folder in (OLD / "exported", migrated.root / "exported")
        )
        assert [sample | was for sample, was in zip(new, old, strict=True)] == new
        assert old or split == "test"


def test_status_and_samples_show_what_was_asked_and_answered(migrated):
    report = status(migrated)
    counts = {
        (row["pass"], state): row[state] for row in report.questions for state in row if state != "pass"
    }
    assert {key: n for key, n in counts.items() if n} == {
        ("text", "open"): 2, ("text", "closed"): 7,
        ("audio", "open"): 3, ("audio", "closed"): 6,
        ("vision", "open"): 3, ("vision", "closed"): 6,
        ("multimodal", "held"): 3, ("multimodal", "closed"): 6,
    }  # fmt: skip
    with closing(sqlite3.connect(migrated.root / "annotate.db")) as connection:
        (closed,) = connection.execute(
            "SELECT sample_id FROM batch_item WHERE modality = 'M' AND state = 3"
        ).fetchone()
    shown = show_sample(migrated, closed)
    assert set(shown.labels) == {"sentiment.T", "sentiment.A", "sentiment.V", "sentiment.M"}
    assert len(shown.questions) == 4


def test_the_trained_round_loads(migrated):
    with reading(migrated.engine) as session:
        folder = migrated.models / session.query(Round).one().model
    model = checkpoint.read(folder)
    assert [task.id for task in model.tasks] == ["sentiment.T", "sentiment.A", "sentiment.V", "sentiment.M"]
    assert model.load("cpu")


def test_training_names_extract_where_an_extractor_changed(migrated):
    with pytest.raises(FeatureError) as error:
        train(migrated)
    assert "annotate extract" in error.value.hint
