"""Promises of the command line: exit codes, a clean stdout, and an instant --help."""

import json
import re
import subprocess
import sys

import pytest
import typer.main

import cli  # noqa: TID251 - the command line is what is tested
from db.engine import database_files
from tests.conftest import ROOT


def test_outside_a_project_says_what_to_do(annotate):
    done = annotate("status")
    assert done.returncode == 1
    assert "hint: run `annotate init` first" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("words", [["status"], ["nonsense"], ["list", "--json"], ["--version"]])
def test_a_command_run_by_the_tests_answers_as_a_process_does(annotate, annotate_process, words):
    here, there = annotate(*words), annotate_process(*words)
    assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)


def test_a_named_folder_without_a_project_says_what_to_do(annotate, tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        done = annotate("-C", str(folder), "status")
        assert (done.returncode, done.stdout) == (1, "")
        assert f"hint: run `annotate init {folder}` first" in done.stderr


def test_a_folder_that_cannot_be_made_is_a_usage_error(annotate):
    done = annotate("init", "/proc/corpus")
    assert done.returncode == 2
    assert "error: /proc/corpus cannot be made" in done.stderr


@pytest.mark.parametrize("url", ["nonsense", "postgresql://host:port/db", "sqlite://", "mysql://host/db"])
def test_a_database_url_that_cannot_be_used_leaves_no_project(annotate, tmp_path, url):
    done = annotate("init", "corpus", "--database", url)
    assert done.returncode == 1
    assert "hint: use sqlite:///annotate.db or postgresql://" in done.stderr
    assert list(tmp_path.rglob("annotate.*")) == []


def test_wrong_usage_is_exit_code_2(annotate, project):
    assert annotate("next-batch", "-n", "0", cwd=project.root).returncode == 2
    assert annotate("nonsense", cwd=project.root).returncode == 2
    assert annotate("train", "--seed", str(2**31), cwd=project.root).returncode == 2
    assert annotate("compare", "--members", "1000000000", cwd=project.root).returncode == 2


def test_a_typo_in_a_preset_is_answered_with_the_right_name(annotate):
    done = annotate("init", "corpus", "--preset", "ch-smis")
    assert done.returncode == 1
    assert "did you mean 'ch-sims'?" in done.stderr


def test_init_twice_changes_nothing(annotate, tmp_path):
    assert annotate("init", "corpus").returncode == 0
    before = (tmp_path / "corpus" / "annotate.toml").read_bytes()
    done = annotate("init", "corpus", "--preset", "mosi")
    assert (done.returncode, "exists already" in done.stderr) == (2, True)
    assert (tmp_path / "corpus" / "annotate.toml").read_bytes() == before


def test_init_with_a_database_that_cannot_be_reached_leaves_no_project(annotate, tmp_path):
    done = annotate("init", "corpus", "--database", "postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 1
    assert "hint:" in done.stderr
    assert not (tmp_path / "corpus" / "annotate.toml").exists()
    assert annotate("init", "corpus").returncode == 0


def test_init_writes_no_password_into_the_settings(annotate, tmp_path):
    done = annotate("init", "corpus", "--database", "postgresql://me:canary-4711@127.0.0.1/none")
    assert done.returncode == 2
    assert "canary-4711" not in done.stderr + done.stdout
    assert "PGPASSWORD" in done.stderr
    assert not (tmp_path / "corpus").exists()


def test_init_names_its_database_so_that_it_can_be_read_and_typed_again(annotate, tmp_path):
    folder = tmp_path / "语料 库 50%#1 a%20b?"
    shown = json.loads(annotate("init", str(folder), "--json").stdout)["database"]
    assert shown == f"sqlite:///{tmp_path}/语料 库 50%#1 a%2520b%3F/annotate.db"
    assert database_files(shown)[0] == folder / "annotate.db"


def test_a_name_with_quotes_survives_init(annotate, tmp_path):
    done = annotate("init", 'od"d\\ na\nme', "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["preset"] == "ch-sims"


def test_json_is_the_only_thing_on_stdout(annotate):
    done = annotate("init", "corpus", "--json")
    report = json.loads(done.stdout)
    assert report["tasks"] == ["sentiment.T", "sentiment.A", "sentiment.V", "sentiment.M"]


def test_an_unknown_key_stops_every_command_before_it_writes(annotate, project):
    path = project.root / "annotate.toml"
    path.write_text(path.read_text().replace("hidden =", "hiden ="))
    done = annotate("status", cwd=project.root)
    assert done.returncode == 1
    assert "unknown key 'train.hiden'" in done.stderr
    assert "did you mean 'hidden'?" in done.stderr


def test_help_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['annotate', '--help']\n"
        "import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'sqlalchemy', 'numpy', 'pandas', 'label_studio_sdk', 'av'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_closed_pipe_is_no_traceback(annotate):
    done = subprocess.run(
        f"{sys.executable} {ROOT / 'cli.py'} --help | head -1", shell=True, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr


def test_every_plug_in_is_listed_in_text_as_in_json(annotate):
    shown, told = annotate("list"), json.loads(annotate("list", "--json").stdout)
    assert shown.returncode == 0, shown.stderr
    assert all(name in shown.stdout for kind in told.values() for name in kind)


@pytest.mark.parametrize(
    "words",
    [
        ["status", "-C", "PROJECT"], ["status", "-q", "--project", "PROJECT"],
        ["-C", "PROJECT", "status", "-vv"], ["--json", "-C", "PROJECT", "status"],
        ["studio", "status", "-C", "PROJECT", "-v"], ["studio", "-C", "PROJECT", "status"],
    ],
)  # fmt: skip
def test_the_folder_and_how_much_is_told_can_stand_behind_the_command(annotate, project, words):
    words = [str(project.root) if word == "PROJECT" else word for word in words]
    done = annotate(*words, *([] if "--json" in words else ["--json"]))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_quiet_behind_the_command_tells_errors_only(annotate, project, tmp_path, example_videos):
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"")
    loud, quiet = (annotate("ingest", folder, *more, cwd=project.root) for more in ((), ("-q",)))
    assert "no transcript was found" in loud.stderr
    assert quiet.returncode == 1 and quiet.stderr.startswith("error: ")


def test_every_command_takes_the_options_of_all_commands():
    import typer.main

    import cli  # noqa: TID251 - its options are what is tested

    def walk(command):
        yield command
        for below in getattr(command, "commands", {}).values():
            yield from walk(below)

    for command in walk(typer.main.get_command(cli.app)):
        options = {name for parameter in command.params for name in parameter.opts}
        assert {"-C", "-v", "-q", "--json"} <= options, command.name


def test_no_help_text_holds_brackets_that_the_terminal_would_take_for_a_style():
    texts = dict(_help_texts("annotate", typer.main.get_command(cli.app)))
    assert len(texts) > 100
    assert {where: text for where, text in texts.items() if re.search(r"(?<!\\)\[", text)} == {}


def _help_texts(name, command):
    """Where a help text stands, and the text, of a command and all below it."""
    yield name, command.help or ""
    for parameter in command.params:
        yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
    for word, below in getattr(command, "commands", {}).items():
        yield from _help_texts(f"{name} {word}", below)


def test_an_empty_password_in_a_database_url_is_none(annotate):
    done = annotate("init", "corpus", "--database", "postgresql://me:@127.0.0.1:1/none")
    assert done.returncode == 1
    assert "password" not in done.stderr.partition("hint:")[0].lower()
