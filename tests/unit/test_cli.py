"""Promises of the command line: exit codes, a clean stdout, and an instant --help."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def test_outside_a_project_says_what_to_do(annotate):
    done = annotate("status")
    assert done.returncode == 1
    assert "hint: run `annotate init` first" in done.stderr
    assert done.stdout == ""


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
