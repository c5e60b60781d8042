"""Every command runs on an empty, a half-way and a finished project, in text and in JSON, and never crashes.

The commands run in this process, because nothing here depends on one of their own. The rows are pairwise:
every two values of project, place, form and width meet in a row, for every command.
"""

import json
import shutil
import sys

import pytest
import typer.main

import cli  # noqa: TID251 - the command line is what is tested
from annotate.project import Project
from annotate.steps.init import init
from annotate.steps.migrate import migrate
from annotate.steps.samples import list_samples
from tests.conftest import ROOT
from tests.support.finished_project import SETTINGS, make_finished_project
from tests.support.media_factory import make_video

OLD = ROOT / "tests" / "fixtures" / "old_project" / "corpus.zip"

ARGUMENTS = {
    "init": ["NEW"],
    "ingest": ["VIDEO"],
    "explain": ["grid_bbaf2n"],
    "recheck": [],
    "remove": ["grid_bbaf2n", "--dry-run"],
    "extract": [],
    "train": ["--seed", "0", "--force"],
    "compare": ["--variants", "hidden=2", "--folds", "2"],
    "next-batch": ["-n", "2", "--dry-run"],
    "pull": [],
    "simulate": [
        "--strategies", "uniform", "--seeds", "1", "--start", "4", "--step", "4", "--until", "8",
        "--out", "NEW",
    ],
    "export": ["jsonl", "NEW"],
    "status": [],
    "doctor": [],
    "migrate": [],
    "list": [],
    "demo": ["FULL"],
    "samples list": [],
    "samples show": ["SAMPLE"],
    "samples edit": ["SAMPLE", "--transcript", "new words", "--by", "me"],
    "samples split": ["SAMPLE", "--at", "0.5", "--dry-run"],
    "samples merge": ["SAMPLE", "SAMPLE"],
    "samples accept": ["SAMPLE", "--by", "me", "--reason", "why"],
    "samples reject": ["SAMPLE", "--by", "me", "--reason", "why"],
    "samples export": ["NEW"],
    "samples apply": ["TABLE", "--by", "me"],
    "import table": ["TABLE", "--id", "id", "--text", "words", "--label", "sentiment.M=y"],
    "import mmsa": ["TABLE"],
    "studio up": ["--port", "1"],
    "studio down": [],
    "studio status": [],
}  # fmt: skip
"""The arguments of each command; words in capitals stand for paths and ids of the test.

`demo` and `studio up` are refused here; that they work is tested where a server runs.
"""

EVERYWHERE = {"init", "doctor", "list"}
ANY_PROJECT = EVERYWHERE | {"recheck", "status", "studio down", "studio status"}
SUCCEEDS = {
    "nowhere": EVERYWHERE,
    "empty": ANY_PROJECT | {"import table"},
    "half-way": ANY_PROJECT | {
        "explain", "export", "extract", "ingest", "migrate", "remove", "samples accept", "samples edit",
        "samples export", "samples list", "samples reject", "samples show",
    },
    "finished": ANY_PROJECT | {
        "compare", "export", "extract", "import table", "next-batch", "samples accept", "samples edit",
        "samples export", "samples list", "samples reject", "samples show", "simulate", "train",
    },
}  # fmt: skip
"""The commands that end with 0 in each state, exactly: the rows test more than error messages."""

ROWS = [
    ("empty", "inside", "text", "pipe"), ("empty", "outside", "json", "80"),
    ("half-way", "inside", "json", "pipe"), ("half-way", "outside", "text", "80"),
    ("finished", "inside", "text", "80"), ("finished", "outside", "json", "pipe"),
    ("nowhere", "inside", "text", "pipe"),
]  # fmt: skip


def _names_of_commands():
    """The full name of each command of the command line."""
    group = typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        subcommands = getattr(command, "commands", None)
        yield from (f"{name} {sub}" for sub in subcommands) if subcommands else (name,)


def test_every_command_of_the_command_line_is_run_here():
    assert sorted(_names_of_commands()) == sorted(ARGUMENTS)


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """A folder with one project in each state, and a video, to be copied."""
    folder = tmp_path_factory.mktemp("projects")
    make_video(folder / "talk.mp4", seconds=2)
    (folder / "nowhere").mkdir()
    init(folder / "empty", preset="ch-sims")
    shutil.unpack_archive(OLD, folder / "half-way")
    shutil.copytree(folder / "half-way", folder / "old")
    old = Project.open(folder / "half-way")
    migrate(old)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(f"ANNOTATE_{name}", value)
        finished = make_finished_project(folder / "finished")
    for project in (old, finished):
        (project.root / "sample.txt").write_text(list_samples(project).samples[0]["sample"])
        project.engine.dispose()
    return folder


@pytest.fixture
def words_of(projects, tmp_path, monkeypatch, example_videos):
    """Enter a copy of the project of a row; give the words to type: ``words_of(row, command)``."""

    def enter(row, command):
        state, place, form, width = row
        root = tmp_path / "corpus"
        shutil.copytree(projects / ("old" if (state, command) == ("half-way", "migrate") else state), root)
        monkeypatch.chdir(root if place == "inside" else tmp_path)
        if state in {"empty", "finished"}:
            for name, value in SETTINGS.items():
                monkeypatch.setenv(f"ANNOTATE_{name}", value)
        if command == "studio up":
            # A server of its own takes long to start; here the project belongs to one elsewhere.
            monkeypatch.setenv("ANNOTATE_LABELSTUDIO__URL", "http://127.0.0.1:9")
        monkeypatch.setenv("TERM", "dumb")
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: width == "80", raising=False)
        (tmp_path / "table.csv").write_text("id,words,y\na,good,0.8\nb,bad,-0.8\n")
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "file").touch()
        sample = root / "sample.txt"
        videos = {"empty": projects / "talk.mp4", "half-way": example_videos / "grid_bbaf2n.mpg"}
        values = {
            "NEW": tmp_path / "new", "FULL": tmp_path / "full", "TABLE": tmp_path / "table.csv",
            "VIDEO": videos.get(state, tmp_path / "full"),
            "SAMPLE": sample.read_text() if sample.exists() else "abc",
        }  # fmt: skip
        words = [str(values.get(word, word)) for word in [*command.split(), *ARGUMENTS[command]]]
        shared = [*(["-C", str(root)] if place == "outside" else []), *(["--json"] if form == "json" else [])]
        return [*shared, *words] if place == "outside" else [*words, *shared]

    return enter


@pytest.mark.parametrize("row", ROWS, ids="-".join)
@pytest.mark.parametrize("command", ARGUMENTS)
def test_a_command_ends_with_its_report_or_a_message_that_helps(command, row, words_of, monkeypatch, capsys):
    state, _, form, _ = row
    monkeypatch.setattr(sys, "argv", ["annotate", *words_of(row, command)])
    code = 0
    try:
        cli.main()
    except SystemExit as leaving:
        code = leaving.code or 0
    out, err = capsys.readouterr()
    assert (code == 0) == (command in SUCCEEDS[state]), err
    assert code in (0, 1, 2, 3)
    assert bool(out.strip()) == (code == 0)
    assert err.startswith("error: ") == (code != 0) or "\nerror: " in err
    if code:
        message, hint = err[err.index("error: ") :].split("\n", 1)
        assert message.removeprefix("error: ")
        assert hint.startswith("hint: ")
        assert hint.removeprefix("hint: ").strip() != f"annotate {command}"
    elif form == "json":
        assert isinstance(json.loads(out), dict)
    else:
        assert not out.startswith("{")
