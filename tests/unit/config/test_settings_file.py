"""What `compare --apply` writes into annotate.toml, and all that it leaves there."""

import tomllib

import pytest

from annotate.config import settings as config
from annotate.config.file import write_train
from annotate.config.sections import TrainSettings
from annotate.errors import ConfigError
from annotate.project import Project


def _wanted(project, **changes):
    return TrainSettings(**{**project.settings.train.network_options(), **changes})


def _text(project):
    return (project.root / config.FILE_NAME).read_text(encoding="utf-8")


def test_only_what_differs_is_written_and_every_comment_stays(project):
    before = _text(project)
    wanted = _wanted(project, sharing="none", dropout=0.1, balance=("class",))
    lines = write_train(project, wanted)
    assert sorted(lines) == ['train.balance = ["class"]', "train.dropout = 0.1", 'train.sharing = "none"']
    after = _text(project)
    old, new = before.splitlines(), after.splitlines()
    changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    assert [b.split("#")[0].split("=")[0].strip() for _, b in changed] == ["dropout", "sharing", "balance"]
    assert all(a.partition("#")[2] == b.partition("#")[2] for a, b in changed)
    assert Project.open(project.root).settings.train == _wanted(
        project, sharing="none", dropout=0.1, balance=("class",)
    )


def test_options_get_tables_of_their_own_and_others_stay(project):
    path = project.root / config.FILE_NAME
    own = "\n[train.options.low-rank]\nrank = 2  # ours\n\n[train.options.gated]\n"
    path.write_text(_text(project) + own, encoding="utf-8")
    project = Project.open(project.root)
    options = {"low-rank": {"rank": 2, "size": 16}, "tensor": {"size": 5}}
    lines = write_train(project, _wanted(project, fusion="tensor", options=options))
    assert "train.options.low-rank.size = 16" in lines and "train.options.tensor.size = 5" in lines
    assert "rank = 2  # ours" in _text(project)
    read = Project.open(project.root).settings
    assert read.train.options == options
    assert read.batch == project.settings.batch


def test_a_file_without_the_section_gets_one(project):
    path = project.root / config.FILE_NAME
    head, _, rest = _text(project).partition("[train]")
    path.write_text(head + rest[rest.index("\n[") :].lstrip(), encoding="utf-8")
    project = Project.open(project.root)
    assert write_train(project, _wanted(project, hidden=16)) == ["train.hidden = 16"]
    assert tomllib.loads(_text(project))["train"] == {"hidden": 16}


def test_a_baseline_is_written_key_by_key_and_read_back_as_it_is(project):
    wanted = TrainSettings(preset="mtfn")
    write_train(project, wanted)
    assert Project.open(project.root).settings.train.network_options() == wanted.network_options()


def test_a_variable_that_would_overrule_it_is_named_and_nothing_is_written(project, monkeypatch):
    monkeypatch.setenv("ANNOTATE_TRAIN__HIDDEN", "8")
    project = Project.open(project.root)
    before = _text(project)
    with pytest.raises(ConfigError, match="hidden") as raised:
        write_train(project, _wanted(project, hidden=16))
    assert "unset ANNOTATE_TRAIN__HIDDEN" in raised.value.hint
    assert _text(project) == before


def test_a_file_that_somebody_edits_meanwhile_is_left_to_them(project):
    path = project.root / config.FILE_NAME
    path.write_text(_text(project).replace("hidden = 64", "hidden = 32"), encoding="utf-8")
    before = _text(project)
    with pytest.raises(ConfigError, match="changed meanwhile"):
        write_train(project, _wanted(project, hidden=16))
    assert _text(project) == before
