"""A demo can be killed at any moment and run again, and replaces nothing but a demo."""

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from annotate.errors import UsageError
from annotate.labelling.push import _marker
from annotate.progress import SILENT
from annotate.steps import demo
from annotate.temporary import temporary_name
from annotate.types import Form, Modality
from db.engine import writing
from db.models import Annotation, Annotator, now
from tests.support.factories import add_sample, add_video

KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from annotate.steps import demo

def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

moment = sys.argv[2]
if moment == "deleting":
    demo.shutil.rmtree = kill
elif moment == "marking":
    Path.touch = kill
else:
    setattr(demo, moment, kill)
demo.demo(Path(sys.argv[1]), videos=Path(sys.argv[3]))
"""


def start(folder: Path) -> None:
    project = demo._start(folder, demo._StepRunner(SILENT))
    project.engine.dispose()
    assert (folder / demo.MARKER).exists()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("moment", ["marking", "init", "ingest", "deleting"])
def test_a_demo_that_was_killed_can_be_run_again(moment: str, tmp_path: Path, example_videos: Path) -> None:
    folder = tmp_path / "demo"
    if moment == "deleting":
        start(folder)
        (folder / "media").mkdir()
    done = subprocess.run([sys.executable, "-c", KILLED, folder, moment, example_videos], check=False)
    assert done.returncode == -signal.SIGKILL
    start(folder)


@pytest.mark.parametrize("left", ["nothing", "the mark", "half a database", "a temporary file"])
def test_whatever_a_killed_demo_left_is_replaced(left: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    if left != "nothing":
        (folder / demo.MARKER).touch()
    if left == "half a database":
        (folder / "annotate.db").touch()
        (folder / "annotate.db-wal").touch()
    if left == "a temporary file":
        (folder / temporary_name()).touch()
    start(folder)


def test_a_demo_that_has_sent_questions_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    project = demo._start(folder, demo._StepRunner(SILENT))
    _marker(project, Form(Modality.TEXT))
    project.engine.dispose()
    start(folder)


@pytest.mark.parametrize("where", ["notes.txt", "dataset/paper.pdf"])
def test_files_that_somebody_put_into_a_demo_are_kept(where: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    start(folder)
    (folder / where).parent.mkdir(exist_ok=True)
    (folder / where).write_text("mine")
    with pytest.raises(UsageError, match="holds") as caught:
        start(folder)
    assert "another folder" in caught.value.hint or "does not exist yet" in caught.value.hint
    assert (folder / where).read_text() == "mine"


def test_answers_that_a_person_gave_in_a_demo_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    project = demo._start(folder, demo._StepRunner(SILENT))
    with writing(project.engine) as session:
        sample = add_sample(session, add_video(session, "v"))
        session.add(Annotator(id=1, name="ann@example.org"))
        session.flush()
        session.add(Annotation(
            sample_id=sample.id, task_id="sentiment.T", annotator_id=1, state="answered", value="1",
            origin="ls#1", revision="1", created_at=now(), raw={},
        ))  # fmt: skip
    project.engine.dispose()
    with pytest.raises(UsageError, match=r"ann@example\.org answered"):
        start(folder)
    assert (folder / "annotate.db").exists()
