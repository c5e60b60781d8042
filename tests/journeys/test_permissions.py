"""Nobody but the owner can use a project's files, whatever the umask is, unless the settings say so."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from annotate.durable import write_whole
from annotate.feature_store import FeatureStore
from annotate.media.files import write_atomic
from annotate.permissions import Access
from annotate.project import Project
from annotate.steps.doctor import doctor
from annotate.steps.init import init
from annotate.types import Modality
from db.engine import writing
from tests.conftest import ROOT, RunAnnotate
from tests.support.factories import add_video


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(root: Path) -> dict[str, int]:
    """Permission bits by path; those of the sticky bit and its like included."""
    paths = [root, *root.rglob("*")]
    return {path.relative_to(root).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in paths}


def fill(project: Project) -> None:
    """A row, so that SQLite has its -wal, a clip, a shard and a model."""
    with writing(project.engine) as session:
        add_video(session, "v")
    write_atomic(project.sample_media("ab" * 8).clip, b"clip")
    FeatureStore(project.features).write(Modality.TEXT, "t@0", [("ab" * 8, np.ones((1, 2), np.float32))])
    write_whole(project.models / "0001" / "model.json", b"{}")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_new_project_is_private_whatever_the_umask_is(mask: int, tmp_path: Path) -> None:
    with umask(mask):
        init(tmp_path / "corpus", preset="mosi")
        project = Project.open(tmp_path / "corpus")
        fill(project)
        with project.writing():
            found = modes(project.root)
        project.engine.dispose()
    assert {"annotate.db", "annotate.db-wal", "annotate.db-shm", "annotate.toml", ".annotate.lock"} < set(
        found
    )
    for path, mode in found.items():
        assert mode == (0o700 if (project.root / path).is_dir() else 0o600), path


@pytest.mark.parametrize(
    ("access", "folder", "file"), [("group", 0o2770, 0o660), ("everyone", 0o2775, 0o664)]
)
def test_a_setting_opens_a_project_to_others_whatever_the_umask_is(
    access: str, folder: int, file: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNOTATE_STORAGE__ACCESS", access)
    with umask(0o077):
        init(tmp_path / "corpus", preset="mosi")
        project = Project.open(tmp_path / "corpus")
        fill(project)
        with project.writing():
            found = modes(project.root)
        project.engine.dispose()
    for path, mode in found.items():
        assert mode == (folder if (project.root / path).is_dir() else file), path
    assert finding(project)["state"] == "ok"


def test_a_folder_with_other_files_keeps_its_permissions_and_an_empty_one_becomes_private(
    tmp_path: Path,
) -> None:
    for name in ("shared", "empty"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
    (tmp_path / "shared" / "notes.txt").touch()
    for name, mode in (("shared", 0o755), ("empty", 0o700)):
        init(tmp_path / name, preset="mosi")
        found = modes(tmp_path / name)
        assert (found["."], found["annotate.db"], found["annotate.toml"]) == (mode, 0o600, 0o600)


def finding(project: Project) -> dict[str, str]:
    return dict(next(check for check in doctor(project).checks if check["check"] == "permissions"))


def test_doctor_warns_about_an_old_project_and_what_it_says_to_type_helps(project: Project) -> None:
    assert finding(project)["state"] == "ok"
    fill(project)
    for path in (project.root, *project.root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    told = finding(project)
    assert told["state"] == "warn"
    assert str(project.root) in told["detail"]
    subprocess.run(told["do"].split(";")[0], shell=True, check=True)
    assert finding(project)["state"] == "ok"
    for path, mode in modes(project.root).items():
        assert mode & 0o077 == 0, path


def test_doctor_warns_where_a_team_cannot_use_what_the_settings_share(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project)
    monkeypatch.setenv("ANNOTATE_STORAGE__ACCESS", "group")
    shared = Project.open(project.root)
    told = finding(shared)
    assert (told["state"], "group" in told["detail"]) == ("warn", True)
    subprocess.run(told["do"], shell=True, check=True)
    assert finding(shared)["state"] == "ok"
    assert modes(project.root)["media/M/ab"] == 0o2770
    shared.engine.dispose()


def test_another_word_for_the_setting_is_an_error(project: Project, annotate: RunAnnotate) -> None:
    done = annotate("status", cwd=project.root, ANNOTATE_STORAGE__ACCESS="team")
    assert done.returncode == 1
    assert "storage.access" in done.stderr and "group" in done.stderr


def test_what_ingest_writes_is_private(project: Project, example_videos: Path) -> None:
    video = min(example_videos.glob("*.mp4"), key=lambda path: path.stat().st_size)
    run = "import os, sys; os.umask(0); sys.argv[0] = 'annotate'; import cli; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", run, "-C", project.root, "ingest", video], cwd=ROOT, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = modes(project.root)
    assert any(path.startswith("media/M/") and path.endswith(".mp4") for path in found)
    assert {path: mode for path, mode in found.items() if mode & 0o077} == {}


def test_names_of_the_setting_are_those_of_the_docs() -> None:
    assert [access.value for access in Access] == ["owner", "group", "everyone"]
