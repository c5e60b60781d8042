"""The demo runs the whole loop for real, from the example footage to a finished dataset."""

import json
import stat

import pandas as pd
import pytest

from annotate.errors import LabelStudioError
from annotate.labelstudio import raters
from annotate.project import Project
from annotate.steps import studio

pytestmark = [pytest.mark.slow, pytest.mark.studio]


@pytest.fixture
def demo_folder(tmp_path, label_studio, monkeypatch):
    monkeypatch.setenv("ANNOTATE_CACHE", str(label_studio.cache))
    folder = tmp_path / "demo"
    yield folder
    if (folder / "annotate.toml").exists():
        studio.down(Project.open(folder))


def test_the_demo_ends_with_a_dataset_and_a_studio_that_runs(demo_folder, annotate_process):
    done = annotate_process("demo", demo_folder, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["batches"] == 2
    # The talk without a face is refused by the rules of the preset.
    assert report["samples"] == 10
    assert "scripted" in done.stderr
    assert {row["task"]: row["valid"] for row in report["labels"]}.keys() >= {"sentiment.T", "sentiment.M"}
    assert all(report["exported"][split] > 0 for split in ("train", "valid", "test"))
    splits = pd.read_pickle(demo_folder / "dataset" / "unaligned.pkl")
    assert {s: len(splits[s]["id"]) for s in ("train", "valid", "test")} == report["exported"]

    logins = json.loads((demo_folder / "demo-logins.json").read_text())
    assert logins == report["logins"] and len({login["password"] for login in logins}) == 6
    assert {login["login"]: login["password"] for login in logins}[report["login"]] == report["password"]
    assert stat.S_IMODE((demo_folder / "demo-logins.json").stat().st_mode) == 0o600
    for login in logins:
        assert raters.log_in(report["label_studio"], login["login"], login["password"])
        with pytest.raises(LabelStudioError):
            raters.log_in(report["label_studio"], login["login"], f"scripted-{login['login']}")

    state = json.loads(annotate_process("studio", "status", "--json", cwd=demo_folder).stdout)
    assert (state["running"], state["url"]) == (True, report["label_studio"])
    second = demo_folder / "again"
    assert annotate_process("export", "mmsa", second, cwd=demo_folder).returncode == 0
    for path in (demo_folder / "dataset").iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name
    assert annotate_process("next-batch", cwd=demo_folder).returncode == 3
    assert annotate_process("doctor", cwd=demo_folder).returncode == 0
    assert annotate_process("studio", "down", cwd=demo_folder).returncode == 0


def test_the_demo_touches_no_folder_that_is_not_its_own(tmp_path, annotate_process):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    done = annotate_process("demo", "mine")
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
