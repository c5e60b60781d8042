"""A damaged, lost or unreachable database is a message with a way out for every command, not a traceback."""

import importlib
import json
import random
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from annotate.errors import AnnotateError, DatabaseDamaged
from annotate.project import Project
from annotate.steps.status import status
from db import models
from db.engine import open_engine, reading, writing
from tests.support.factories import add_label, add_sample, add_video

COMMANDS = (
    ["status"], ["doctor"], ["recheck"], ["explain", "video 3"], ["extract"],
    ["train"], ["compare"], ["next-batch", "--dry-run"], ["next-batch"], ["pull"],
    ["simulate", "--strategies", "uniform"], ["export", "jsonl", "../out"], ["migrate"], ["status", "--json"],
)  # fmt: skip

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: exit code and what it wrote to stderr. A traceback fails the test."""
    monkeypatch.chdir(project.root)

    def once(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["annotate", "-C", str(project.root), *words])
        try:
            importlib.import_module("cli").main()  # a process per command would take minutes
            code: object = 0
        except SystemExit as leaving:
            code = leaving.code or 0
        shown = capsys.readouterr()
        if "--json" in words:
            assert not shown.out or json.loads(shown.out)
        return int(str(code)), shown.err

    return once


@pytest.fixture
def filled(project: Project) -> Iterator[Path]:
    """The database file of a project with rows on many pages, closed."""
    with writing(project.engine) as session:
        for number in range(40):
            video = add_video(session, f"video {number}")
            session.add(models.Event(kind="note", payload={"number": number, "words": "some " * 50}))
            for start in (0, 2, 4):
                sample = add_sample(session, video, start, text="what was said " * 10)
                add_label(session, sample, "sentiment.T", 0.0)
    project.engine.dispose()
    path = project.root / "annotate.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size > 40 * 4096
    yield path
    project.engine.dispose()


def require_a_message(code: int, stderr: str) -> None:
    assert code in (0, 1, 3), stderr
    if code == 1:
        assert stderr.startswith("error: ") or "error: " in stderr
        assert "hint: " in stderr
        assert "Traceback" not in stderr


WHOLE_FILE = {
    "half": lambda content: content[: len(content) // 2],
    "a page and a half": lambda content: content[:6144],
    "noise": lambda content: random.Random(1).randbytes(len(content)),
    "noise behind the header": lambda content: content[:100] + random.Random(1).randbytes(len(content) - 100),
    "zeros behind the first page": lambda content: content[:4096] + bytes(len(content) - 4096),
    "another kind of file": lambda content: b"<html>" * 1000,
}


@pytest.mark.parametrize("damage", WHOLE_FILE)
def test_a_damaged_file_is_told_by_every_command_and_kept(damage: str, filled: Path, run: Run) -> None:
    filled.write_bytes(WHOLE_FILE[damage](filled.read_bytes()))
    before = filled.read_bytes()
    for command in COMMANDS:
        code, stderr = run(*command)
        if command == ["doctor"]:
            continue
        assert code == 1, (command, stderr)
        require_a_message(code, stderr)
        if "Label Studio is not running" not in stderr:
            assert str(filled) in stderr, (command, stderr)
            assert "backup" in stderr
        assert " rm " not in stderr and "delete" not in stderr
    assert filled.read_bytes() == before


@pytest.mark.parametrize("lost", ["empty", "gone"])
def test_a_database_without_content_is_not_taken_for_a_new_project(lost: str, filled: Path, run: Run) -> None:
    filled.write_bytes(b"") if lost == "empty" else filled.unlink()
    for command in (["status"], ["recheck"], ["export", "jsonl", "../out"]):
        code, stderr = run(*command)
        assert (code, str(filled) in stderr, "backup" in stderr) == (1, True, True), stderr
    assert not filled.exists() or filled.stat().st_size == 0


def test_no_damaged_page_ends_a_command_in_a_traceback(filled: Path, run: Run) -> None:
    """Whatever table, index or overflow page is hit: the commands that read most of them."""
    content, rng, told = filled.read_bytes(), random.Random(7), 0
    for page in range(1, len(content) // 4096, 3):
        damaged = bytearray(content)
        start = page * 4096 + rng.choice([0, 0, 8, rng.randrange(4000)])
        damaged[start : start + 64] = rng.randbytes(64)
        filled.write_bytes(damaged)
        for leftover in ("-wal", "-shm"):
            Path(f"{filled}{leftover}").unlink(missing_ok=True)
        for command in (["status"], ["export", "jsonl", "../out"]):
            code, stderr = run(*command)
            require_a_message(code, stderr)
            told += code == 1 and "damaged" in stderr
        shutil.rmtree(filled.parent.parent / "out", ignore_errors=True)
    assert told > 3


@pytest.mark.parametrize(
    ("column", "value"), [("facts", "{broken"), ("created_at", "yesterday"), ("facts", None)]
)
def test_a_value_that_cannot_be_is_told_as_damage(column: str, value: str | None, project: Project) -> None:
    table = "batch" if column == "created_at" else "video"
    with writing(project.engine) as session:
        add_video(session, "v")
        session.add(models.Batch(round_id=None, strategy="uniform", seed=0, settings={}))
    project.engine.dispose()
    with closing(sqlite3.connect(project.root / "annotate.db")) as connection:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        if value is None:
            connection.execute(
                f"UPDATE {table} SET {column} = ?", ("\ud800".encode("utf-16-le", "surrogatepass"),)
            )
        else:
            connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
        connection.commit()
    with pytest.raises(AnnotateError) as caught, reading(project.engine) as session:
        session.query(models.Batch if table == "batch" else models.Video).all()
    assert "backup" in caught.value.hint or "database" in str(caught.value)


@pytest.mark.postgres
def test_a_postgres_that_goes_away_in_the_middle_is_a_message(
    make_project: Callable[..., Project], postgres_url: str
) -> None:
    project = make_project(database=postgres_url)
    other = open_engine(postgres_url)
    with pytest.raises(AnnotateError, match="cannot be used") as caught, reading(project.engine) as session:
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar()
        with other.connect() as connection:
            connection.execute(text(f"SELECT pg_terminate_backend({pid})"))
        session.execute(text("SELECT 1"))
    other.dispose()
    assert "server runs" in caught.value.hint
    assert status(project).batches == 0


def test_damage_is_an_error_of_its_own(filled: Path, project: Project) -> None:
    filled.write_bytes(WHOLE_FILE["zeros behind the first page"](filled.read_bytes()))
    with pytest.raises(DatabaseDamaged, match="damaged"):
        status(project)
