"""A project that cannot be written, such as another user's or one on a read-only disk, can still be read."""

import importlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from annotate.errors import ExportError, ReadOnlyProject
from annotate.project import Project
from annotate.steps.doctor import doctor
from annotate.steps.explain import explain
from annotate.steps.export import export
from annotate.steps.recheck import recheck
from annotate.steps.status import status
from annotate.types import Modality
from db.engine import writing
from exporters.manifest import read_manifest
from tests.support.factories import add_label, add_sample, add_video
from tests.support.ordinary_user import as_an_ordinary_user, forbid_writing

WRITERS = (
    ["recheck"], ["extract"], ["train"], ["migrate"],
    ["ingest", "videos"],
)  # fmt: skip


@pytest.fixture
def finished(project: Project) -> Project:
    """One finished sample; every file closed."""
    with writing(project.engine) as session:
        sample = add_sample(session, add_video(session, "talk"))
        for modality in Modality:
            add_label(session, sample, f"sentiment.{modality}", 1.0)
    (project.root / "t.csv").write_text("id,text\na,b\n")
    (project.root / "videos").mkdir()
    close_database(project)
    return project


def close_database(project: Project) -> None:
    project.engine.dispose()
    with closing(sqlite3.connect(project.root / "annotate.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert not (project.root / "annotate.db-wal").exists()


def read_all(root: Path, dest: Path) -> None:
    """Everything that only reads does so."""
    project = Project.open(root)
    assert project.read_only
    assert sum(status(project).samples.values()) == 1
    assert explain(project, "talk").samples
    assert export(project, format="jsonl", dest=dest).samples["train"] == 1
    assert (read_manifest(dest) or {})["samples"]["train"] == 1
    found = {check["check"]: check for check in doctor(project).checks}
    assert found["folders"]["state"] == "warn" and "cannot be written" in found["folders"]["detail"]
    assert found["database"]["state"] == found["writer lock"]["state"] == "ok"
    with pytest.raises(ExportError, match="cannot be written"):
        export(project, format="jsonl", dest=root / "inside")
    with pytest.raises(ReadOnlyProject, match=str(root)) as caught:
        recheck(project)
    assert "status" in caught.value.hint and "read-only" in caught.value.hint
    project.engine.dispose()


def test_a_project_without_permission_to_write_can_be_read(finished: Project, tmp_path: Path) -> None:
    forbid_writing(finished.root)
    before = {p.name: p.read_bytes() for p in finished.root.iterdir() if p.is_file()}
    as_an_ordinary_user(lambda: read_all(finished.root, tmp_path / "out"))
    assert {p.name: p.read_bytes() for p in finished.root.iterdir() if p.is_file()} == before


@pytest.mark.parametrize("left", ["-wal and -shm", "-wal"])
def test_what_a_crash_left_in_the_wal_is_read_as_well(left: str, finished: Project, tmp_path: Path) -> None:
    code = (
        "import sqlite3, os, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=WAL'); "
        "c.execute('UPDATE video SET name = ?', ('renamed',)); c.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, finished.root / "annotate.db"], check=True)
    if left == "-wal":
        (finished.root / "annotate.db-shm").unlink()
    forbid_writing(finished.root)

    def look() -> None:
        project = Project.open(finished.root)
        assert explain(project, "renamed").samples
        project.engine.dispose()

    as_an_ordinary_user(look)


def test_a_project_that_somebody_works_in_is_read_as_it_is(finished: Project, tmp_path: Path) -> None:
    with writing(finished.engine) as session:
        add_sample(session, add_video(session, "new"))
    forbid_writing(finished.root)

    def look() -> int:
        project = Project.open(finished.root)
        count = sum(status(project).samples.values())
        project.engine.dispose()
        return count

    assert as_an_ordinary_user(look) == 2


def test_a_database_that_cannot_be_written_in_a_folder_that_can_is_named(finished: Project) -> None:
    (finished.root / "annotate.db").chmod(0o400)

    def look() -> None:
        project = Project.open(finished.root)
        assert sum(status(project).samples.values()) == 1
        with pytest.raises(ReadOnlyProject, match=r"annotate\.db cannot be written"):
            recheck(project)
        project.engine.dispose()

    as_an_ordinary_user(look)


def test_every_command_that_writes_says_what_is_wrong(
    finished: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forbid_writing(finished.root)
    monkeypatch.chdir(finished.root)

    def run(words: list[str]) -> object:
        monkeypatch.setattr(sys, "argv", ["annotate", *words])
        try:
            importlib.import_module("cli").main()
        except SystemExit as leaving:
            return leaving.code
        return 0

    for words in WRITERS:
        code = as_an_ordinary_user(lambda words=words: run(words))  # type: ignore[misc]
        shown = capsys.readouterr().err
        assert (code, "error: " in shown, "hint: " in shown) == (1, True, True), (words, shown)
        assert str(finished.root) in shown, (words, shown)
    for words in (["status", "--json"], ["list", "--json"], ["explain", "talk"], ["doctor"]):
        code = as_an_ordinary_user(lambda words=words: run(words))  # type: ignore[misc]
        assert code in (0, None) or words == ["doctor"], (words, capsys.readouterr().err)
        assert "Traceback" not in capsys.readouterr().err
