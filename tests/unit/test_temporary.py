"""Temporary names cannot be guessed, and what is swept is ours and left over."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from annotate import temporary
from annotate.durable import write_whole
from annotate.errors import LabelStudioError
from annotate.labelstudio.install import ensure_installed, installation
from annotate.project import Project
from annotate.steps.init import init
from db.migrate import back_up
from tests.support.leftovers import name_of_an_ended_process


def test_no_two_names_are_the_same_and_each_is_known_as_ours() -> None:
    names = {temporary.temporary_name() for _ in range(100)}
    assert len(names) == 100
    assert all(temporary.is_temporary(Path("somewhere") / name) for name in names)


@pytest.mark.parametrize(
    "name", [".annotate-.part", ".annotate-notes.part", "x.part", ".out.part", ".out.old", ".x.mp4.42.part"]
)
def test_other_names_are_never_swept(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (0, 0))
    assert temporary.sweep(tmp_path.iterdir(), ours_too=True) == 0
    assert (tmp_path / name).exists()


def test_what_an_ended_process_left_is_swept_and_that_of_a_running_one_stays(tmp_path: Path) -> None:
    folder, file = tmp_path / name_of_an_ended_process(), tmp_path / name_of_an_ended_process()
    folder.mkdir()
    (folder / "half").touch()
    file.touch()
    running = tmp_path / temporary.temporary_name()
    running.touch()
    assert temporary.sweep(tmp_path.iterdir()) == 2
    assert list(tmp_path.iterdir()) == [running]


def test_what_another_machine_left_is_swept_when_it_is_a_day_old(tmp_path: Path) -> None:
    name = re.sub(r"-[0-9a-f]{8}-", "-00000000-", temporary.temporary_name(), count=1)
    folder = tmp_path / name
    folder.mkdir()
    os.utime(folder, (0, 0))
    (folder / "half").touch()
    assert temporary.sweep(tmp_path.iterdir()) == 0, "something in it was written just now"
    old = time.time() - temporary.STALE_SECONDS - 60
    for path in (folder / "half", folder):
        os.utime(path, (old, old))
    assert temporary.sweep(tmp_path.iterdir()) == 1


def test_a_link_that_is_swept_does_not_take_its_target_along(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    (tmp_path / name_of_an_ended_process()).symlink_to(tmp_path / "mine")
    temporary.sweep(tmp_path.glob(temporary.PATTERN))
    assert [p.name for p in tmp_path.rglob("*")] == ["mine", "thesis.tex"]


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "facts.json"
    write_whole(path, b"old")

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_files_of_the_user_beside_ours_are_not_written_over(tmp_path: Path) -> None:
    mine = tmp_path / "corpus" / "annotate.part"
    mine.parent.mkdir()
    mine.write_text("mine")
    init(tmp_path / "corpus", preset="mosi")
    assert mine.read_text() == "mine"


def test_a_second_backup_of_the_database_does_not_replace_the_first(project: Project) -> None:
    first, second = Path(back_up(project.engine, 0o600)), Path(back_up(project.engine, 0o600))
    assert first != second and first.exists() and second.exists()


def test_a_backup_that_is_killed_half_way_leaves_nothing_that_looks_like_one(project: Project) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from annotate.project import Project; from db import migrate\n"
        "migrate.closing = lambda connection: os.kill(os.getpid(), 9)\n"
        "migrate.back_up(Project.open(Path(sys.argv[1])).engine, 0o600)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(project.root)], check=False)
    assert killed.returncode == -9
    assert not list(project.root.glob("*.before-*"))
    assert Path(back_up(project.engine, 0o600)).exists()
    assert not list(project.root.glob(".annotate-*.part"))


def test_a_folder_that_holds_something_else_is_no_place_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNOTATE_CACHE", str(tmp_path))
    mine = installation().folder / "my-own-venv" / "pyvenv.cfg"
    mine.parent.mkdir(parents=True)
    mine.touch()
    with pytest.raises(LabelStudioError, match="annotate did not install"):
        ensure_installed()
    assert mine.exists()
