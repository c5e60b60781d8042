"""`annotate export`: what goes into a dataset, and what becomes of the folder whatever happens."""

import hashlib
import json
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select, update

from annotate.datasets.build import short_names
from annotate.errors import ConfigError, ExportError, NothingToDo, UnknownName, UsageError
from annotate.project import Project
from annotate.steps import export as step
from annotate.steps.export import export
from annotate.temporary import temporary_name
from annotate.types import UNIMODAL, Modality, Split
from db import models
from db.engine import reading, writing
from exporters.manifest import FILE_NAME, read_manifest
from tests.conftest import ROOT, MakeProject, RunAnnotate
from tests.support.datasets import make_features
from tests.support.factories import add_label, add_sample, add_video
from tests.support.ordinary_user import as_an_ordinary_user

TASKS = tuple(f"sentiment.{modality}" for modality in Modality)


@pytest.fixture(autouse=True)
def _features(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: Project, modality: Modality, sample_ids: Sequence[str]) -> list[NDArray[np.float32]]:
        return [make_features(modality)(sample) for sample in sample_ids]

    monkeypatch.setattr("annotate.corpus.features.read_features", read)
    monkeypatch.setattr(
        "annotate.corpus.features.feature_names", lambda _: {m: f"fake-{m.word}@01" for m in UNIMODAL}
    )


def fill(project: Project, splits: Sequence[Split] = tuple(Split)) -> None:
    """Two finished samples per split, with a clip each, and one of train that nobody judged."""
    with writing(project.engine) as session:
        for split in splits:
            video = add_video(session, f"video_{split.value}", split=split)
            for start in (0, 2):
                finish(project, session, add_sample(session, video, start))
        if Split.TRAIN in splits:
            add_sample(session, add_video(session, "more", split=Split.TRAIN))


def finish(project: Project, session: object, sample: models.Sample, tasks: Sequence[str] = TASKS) -> None:
    clip = project.sample_media(sample.id).clip
    clip.parent.mkdir(parents=True, exist_ok=True)
    clip.write_bytes(sample.id.encode())
    for task in tasks:
        add_label(session, sample, task, 0.0)  # type: ignore[arg-type]


def rows(folder: Path) -> list[dict[str, object]]:
    lines = "".join((folder / f"{split.value}.jsonl").read_text(encoding="utf-8") for split in Split)
    return [json.loads(line) for line in lines.splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --- what cannot be ---


def test_an_unknown_format_is_named_with_the_nearest(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="jsonll") as caught:
        export(project, format="jsonll", dest=tmp_path / "out")
    assert "jsonl" in caught.value.hint


def test_without_a_finished_sample_there_is_nothing_to_do(project: Project, tmp_path: Path) -> None:
    with writing(project.engine) as session:
        sample = add_sample(session, add_video(session, "a"))
        finish(project, session, sample, TASKS[:2])
        add_sample(session, add_video(session, "b"))
    with pytest.raises(NothingToDo, match="1 not labelled, 1 partly labelled") as caught:
        export(project, format="jsonl", dest=tmp_path / "out")
    assert caught.value.hint.startswith("run `annotate ")
    assert not (tmp_path / "out").exists()


def test_an_empty_project_says_to_ingest_first(project: Project, annotate: RunAnnotate) -> None:
    done = annotate("export", "jsonl", "out", cwd=project.root)
    assert done.returncode == 3
    assert "annotate ingest" in done.stderr
    assert not (project.root / "out").exists()


def test_a_speaker_in_two_splits_is_refused(project: Project, tmp_path: Path) -> None:
    with writing(project.engine) as session:
        for name, split in (("a", Split.TRAIN), ("b", Split.TEST)):
            finish(project, session, add_sample(session, add_video(session, name, "ann", split)))
    with pytest.raises(ExportError, match="speaker 'ann' is in two splits: test, train"):
        export(project, format="jsonl", dest=tmp_path / "out")


def test_a_speaker_in_two_splits_is_told_on_the_card_where_the_settings_leave_speakers_free(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(project.engine) as session:
        for name, split in (("a", Split.TRAIN), ("b", Split.TEST)):
            finish(project, session, add_sample(session, add_video(session, name, "ann", split)))
    monkeypatch.setenv("ANNOTATE_SPLITS__TOGETHER", '["episode"]')
    export(Project.open(project.root), format="jsonl", dest=tmp_path / "out")
    assert "1 speaker is: scores say little" in (tmp_path / "out" / "README.md").read_text()


def test_the_speaker_of_a_sample_wins_over_that_of_its_video_and_a_guess_says_that_it_is_one(
    project: Project, tmp_path: Path
) -> None:
    with writing(project.engine) as session:
        for name, whole in (("a", ""), ("b", "ben")):
            video = add_video(session, name, whole)
            for second, (speaker, origin) in enumerate(
                [("ann", "transcript"), ("cleo", "table"), ("voice 1", "voice"), ("", "")]
            ):
                sample = add_sample(session, video, start=2.0 * second)
                sample.speaker, sample.speaker_origin = speaker, origin
                finish(project, session, sample)
    export(project, format="jsonl", dest=tmp_path / "out")
    found = {
        (r["video_id"], r["clip_id"]): (r["speaker"], r["speaker_guessed"]) for r in rows(tmp_path / "out")
    }
    unknown = hashlib.sha256(b"a").hexdigest()
    assert [found["a", f"000{n}"] for n in range(1, 5)] == [
        ("ann", False), ("cleo", False), ("a:voice 1", True), (unknown, False),
    ]  # fmt: skip
    assert [found["b", f"000{n}"][0] for n in range(1, 5)] == ["ann", "cleo", "ben", "ben"]
    assert (
        "The speaker of 1 utterance was identified by voice" in (tmp_path / "out" / "README.md").read_text()
    )


def test_a_video_in_two_splits_is_refused(project: Project, tmp_path: Path) -> None:
    fill(project)
    with writing(project.engine) as session:
        moved = session.scalars(select(models.Sample.id).where(models.Sample.split == "test")).first()
        session.execute(update(models.Sample).where(models.Sample.id == moved).values(split="train"))
    with pytest.raises(ExportError, match="in two splits"):
        export(project, format="jsonl", dest=tmp_path / "out")


def test_mmsa_without_a_valid_sample_leaves_nothing_behind(project: Project, tmp_path: Path) -> None:
    fill(project, (Split.TRAIN, Split.TEST))
    with pytest.raises(ExportError, match="valid"):
        export(project, format="mmsa", dest=tmp_path / "data" / "out")
    assert not list((tmp_path / "data").iterdir())


def test_mmsa_names_why_the_samples_of_an_empty_split_are_left_out(project: Project, tmp_path: Path) -> None:
    fill(project, (Split.TRAIN, Split.TEST))
    with writing(project.engine) as session:
        video = add_video(session, "mute", split=Split.VALID)
        finish(project, session, add_sample(session, video, text=""), TASKS[1:])
    with pytest.raises(ExportError, match="in the valid split") as caught:
        export(project, format="mmsa", dest=tmp_path / "out")
    assert "left out: no transcript 1, not labelled 1" in str(caught.value)
    assert "export.require" in caught.value.hint


def test_requiring_a_pass_that_nobody_is_asked_is_an_error(
    make_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_project(preset="mosi").root
    monkeypatch.setenv("ANNOTATE_EXPORT__REQUIRE", '["T"]')
    project = Project.open(root)
    with pytest.raises(ConfigError, match=r"export\.require names T"):
        export(project, format="jsonl", dest=tmp_path / "out")
    project.engine.dispose()


@pytest.mark.parametrize("kind", ["file", "foreign", "another format"])
def test_what_others_put_there_is_never_replaced(kind: str, project: Project, tmp_path: Path) -> None:
    fill(project)
    dest = tmp_path / "out"
    if kind == "file":
        dest.write_text("mine")
    elif kind == "foreign":
        dest.mkdir()
        (dest / "thesis.tex").write_text("mine")
    else:
        export(project, format="chsims-csv", dest=dest)
    before = contents(dest) or dest.read_text()
    with pytest.raises(UsageError, match=str(dest)):
        export(project, format="jsonl", dest=dest)
    assert (contents(dest) or dest.read_text()) == before


def test_a_file_added_to_an_earlier_export_is_never_replaced(project: Project, tmp_path: Path) -> None:
    fill(project)
    export(project, format="chsims-csv", dest=tmp_path / "out")
    (tmp_path / "out" / "Processed").mkdir()
    (tmp_path / "out" / "Processed" / "features.pkl").write_text("hours of work")
    with pytest.raises(UsageError, match=r"Processed/features\.pkl"):
        export(project, format="chsims-csv", dest=tmp_path / "out")
    assert (tmp_path / "out" / "Processed" / "features.pkl").read_text() == "hours of work"


def test_a_folder_that_cannot_be_made_is_an_error_with_a_way_out(project: Project, tmp_path: Path) -> None:
    fill(project)
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written"):
        export(project, format="jsonl", dest=tmp_path / "file" / "out")


# --- what goes in ---


def test_finished_samples_are_written_and_the_rest_is_counted(each_project: Project, tmp_path: Path) -> None:
    fill(each_project)
    report = export(each_project, format="jsonl", dest=tmp_path / "out")
    assert report.samples == {"train": 2, "valid": 2, "test": 2}
    assert report.left_out == {"not labelled": 1}
    found = rows(tmp_path / "out")
    assert [(r["video_id"], r["clip_id"]) for r in found[:2]] == [
        ("video_train", "0001"),
        ("video_train", "0002"),
    ]
    assert all(label["value"] == 0.0 for row in found for label in row["labels"].values())  # type: ignore[attr-defined]
    with reading(each_project.engine) as session:
        assert session.scalars(select(models.Export.manifest_sha256)).all() == [report.manifest_sha256]
        assert session.scalars(select(models.Event.kind)).all() == ["export"]


def test_each_reason_to_leave_a_sample_out_is_counted(
    make_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNOTATE_EXPORT__MIN_RATERS", "3")
    project = make_project()
    fill(project)
    with writing(project.engine) as session:
        video = add_video(session, "rest")
        partly, few, silent = (add_sample(session, video, start, "") for start in (0, 2, 4))
        partly.transcript = few.transcript = "hello"
        finish(project, session, partly, TASKS[:3])
        finish(project, session, few, TASKS[1:])
        add_label(session, few, TASKS[0], 1.0, raters=2)
        finish(project, session, silent, TASKS[1:])
        finish(project, session, add_sample(session, add_video(session, "new", split=None)))
    report = export(project, format="jsonl", dest=tmp_path / "out")
    assert report.left_out == {
        "no split yet": 1, "no transcript": 1, "not labelled": 1, "partly labelled": 1, "too few raters": 1,
    }  # fmt: skip
    assert sum(report.samples.values()) == 6
    assert "too few raters: 1" in (tmp_path / "out" / "README.md").read_text()


def test_more_raters_wanted_than_there_were_is_told_with_the_way_out(
    make_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNOTATE_EXPORT__MIN_RATERS", "99")
    project = make_project()
    fill(project)
    with pytest.raises(NothingToDo, match="too few raters") as told:
        export(project, format="jsonl", dest=tmp_path / "out")
    assert "lower export.min_raters" in str(told.value.hint)


def test_samples_that_lack_a_transcript_only_are_told_with_the_way_out(
    project: Project, tmp_path: Path
) -> None:
    with writing(project.engine) as session:
        finish(project, session, add_sample(session, add_video(session, "mute"), text=""), TASKS[1:])
    with pytest.raises(NothingToDo, match="1 no transcript") as caught:
        export(project, format="jsonl", dest=tmp_path / "out")
    assert 'export.require = ["A", "V", "M"]' in caught.value.hint


def test_fewer_passes_can_be_required(
    make_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNOTATE_EXPORT__REQUIRE", '["M"]')
    project = make_project()
    fill(project)
    with writing(project.engine) as session:
        sample = add_sample(session, add_video(session, "only-m"), text="")
        finish(project, session, sample, ("sentiment.A", "sentiment.M"))
        wanted = sample.id
    export(project, format="jsonl", dest=tmp_path / "out")
    found = next(row for row in rows(tmp_path / "out") if row["id"] == wanted)
    assert list(found["labels"]) == ["sentiment.A", "sentiment.M"]  # type: ignore[call-overload]


def test_a_clip_keeps_its_number_when_more_of_its_video_are_finished(
    project: Project, tmp_path: Path
) -> None:
    with writing(project.engine) as session:
        video = add_video(session, "a")
        first, second = add_sample(session, video, 0).id, add_sample(session, video, 2)
        finish(project, session, second)
    export(project, format="jsonl", dest=tmp_path / "out")
    before = rows(tmp_path / "out")
    with writing(project.engine) as session:
        finish(project, session, session.get_one(models.Sample, first))
    export(project, format="jsonl", dest=tmp_path / "out")
    assert before == rows(tmp_path / "out")[1:]
    assert before[0]["clip_id"] == "0002"


def test_only_a_format_with_features_needs_them(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project)
    export(project, format="mmsa", dest=tmp_path / "features")
    manifest = read_manifest(tmp_path / "features")
    assert manifest is not None
    assert manifest["features"] == {m.value: f"fake-{m.word}@01" for m in UNIMODAL}

    def none_there(*_: object) -> None:
        raise AssertionError("features were read")

    monkeypatch.setattr("annotate.corpus.features.read_features", none_there)
    export(project, format="chsims-csv", dest=tmp_path / "table")
    manifest = read_manifest(tmp_path / "table")
    assert manifest is not None
    assert manifest["features"] == {}


def test_names_of_videos_become_short_safe_and_different() -> None:
    names = ["talk", "Talk", "a" * 40, "../../etc/passwd", "-y", "你好", "None", "two words", "fine-1_b", ""]
    short = short_names({f"{i:064x}"[::-1]: name for i, name in enumerate(names, 1)})
    assert len({name.lower() for name in short.values()}) == len(names)
    for name in short.values():
        assert 0 < len(name) <= 32
        assert name.isascii()
        assert name.replace("-", "_").isidentifier() or name[0].isalnum()
        assert not name.startswith("-")
    assert "fine-1_b" in short.values()
    assert not {"None", "talk", "Talk"} & set(short.values())


# --- what becomes of the folder ---


@pytest.mark.parametrize("format", ["mmsa", "chsims-csv", "jsonl"])
def test_two_exports_are_byte_identical(format: str, project: Project, tmp_path: Path) -> None:
    fill(project)
    reports = [export(project, format=format, dest=tmp_path / name) for name in ("one", "two", "two")]
    assert len({report.manifest_sha256 for report in reports}) == 1
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus", "one", "two"]


def test_an_earlier_export_is_replaced_whole(project: Project, tmp_path: Path) -> None:
    fill(project)
    export(project, format="chsims-csv", dest=tmp_path / "out")
    with writing(project.engine) as session:
        gone = session.scalars(select(models.Sample.id).where(models.Sample.split == "test")).first()
        session.execute(update(models.Sample).where(models.Sample.id == gone).values(status="retired"))
    export(project, format="chsims-csv", dest=tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert {f["path"] for f in manifest["files"]} == set(contents(tmp_path / "out")) - {FILE_NAME}
    assert len(list((tmp_path / "out").rglob("*.mp4"))) == 5


def test_a_folder_that_is_empty_is_used(project: Project, tmp_path: Path) -> None:
    fill(project)
    (tmp_path / "out").mkdir()
    export(project, format="jsonl", dest=tmp_path / "out")
    assert read_manifest(tmp_path / "out")


KILLED = """
import os, signal, sys
from pathlib import Path
from annotate.project import Project
from annotate.steps import export as step
from annotate.datasets import replace_export as _replace_export

def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

moment = sys.argv[3]
if moment == "writing":
    step.write_manifest = kill
elif moment == "deleting":
    _replace_export._delete_earlier = kill
else:
    renames = 0
    rename_really = Path.rename
    def rename(self, target):
        global renames
        renames += self.name in ("old", "new") or Path(target).name in ("old", "new")
        if renames == int(moment):
            kill()
        return rename_really(self, target)
    Path.rename = rename
step.export(Project.open(Path(sys.argv[1])), format="jsonl", dest=Path(sys.argv[2]))
"""


@pytest.mark.parametrize("moment", ["writing", "1", "2", "deleting"])
def test_a_killed_export_loses_nothing_and_the_next_one_goes_on(
    moment: str, project: Project, tmp_path: Path
) -> None:
    fill(project)
    dest = tmp_path / "out"
    export(project, format="jsonl", dest=dest)
    before = contents(dest)
    done = subprocess.run([sys.executable, "-c", KILLED, project.root, dest, moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert dest.exists() == (moment != "2")
    with pytest.raises(UnknownName):
        export(project, format="nonsense", dest=dest)
    with pytest.raises(UsageError, match="no earlier chsims-csv export"):
        export(project, format="chsims-csv", dest=dest)
    assert contents(dest) == before, "whatever the next export does, the old one is back"
    export(project, format="jsonl", dest=dest)
    assert contents(dest) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus", "out"]


def test_nothing_beside_the_destination_is_touched(project: Project, tmp_path: Path) -> None:
    fill(project)
    names = [".out.old", ".out.part", ".annotate-notes.part", ".annotate-1-2-3-4.part", "out.part", "out.old"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.tex").write_text("years of work")
    (tmp_path / ".out.json.7.part").write_text("mine")
    before = {k: v for k, v in contents(tmp_path).items() if not k.startswith("corpus/")}
    for _ in range(2):
        export(project, format="jsonl", dest=tmp_path / "out")
    assert len(before) == len(names) + 1
    assert before.items() <= contents(tmp_path).items()


def test_a_temporary_folder_of_an_export_that_still_runs_is_left_alone(
    project: Project, tmp_path: Path
) -> None:
    fill(project)
    running = tmp_path / temporary_name()
    (running / "new").mkdir(parents=True)
    (running / "new" / "train.jsonl").write_text("half")
    (running / "export.json").write_text('{"dest": "out"}')
    export(project, format="jsonl", dest=tmp_path / "out")
    assert (running / "new" / "train.jsonl").read_text() == "half"


DAMAGED = {
    "no files": lambda m: {k: v for k, v in m.items() if k != "files"},
    "files are no list": lambda m: {**m, "files": {"train.jsonl": "x"}},
    "an entry is no object": lambda m: {**m, "files": ["train.jsonl"]},
    "an entry has no path": lambda m: {**m, "files": [{"sha256": "00"}]},
    "a path leads outside": lambda m: {**m, "files": [{"path": "../corpus/annotate.db", "sha256": "00"}]},
    "a path is absolute": lambda m: {**m, "files": [{"path": "/etc/passwd", "sha256": "00"}]},
    "an empty path": lambda m: {**m, "files": [{"path": "", "sha256": "00"}]},
}


@pytest.mark.parametrize("damage", [*DAMAGED, "no JSON", "half"])
def test_a_damaged_manifest_is_a_message_and_nothing_is_deleted(
    damage: str, project: Project, annotate: RunAnnotate, tmp_path: Path
) -> None:
    fill(project)
    dest = tmp_path / "out"
    export(project, format="jsonl", dest=dest)
    path = dest / FILE_NAME
    content = path.read_text()
    if damage in DAMAGED:
        path.write_text(json.dumps(DAMAGED[damage](json.loads(content))))
    else:
        path.write_text("nonsense" if damage == "no JSON" else content[: len(content) // 2])
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=r"manifest\.json is damaged") as caught:
        export(project, format="jsonl", dest=dest)
    assert "choose a folder" in caught.value.hint
    assert contents(dest) == {k.removeprefix("out/"): v for k, v in before.items() if k.startswith("out/")}


def test_a_file_that_was_changed_since_its_export_is_never_replaced(project: Project, tmp_path: Path) -> None:
    fill(project)
    dest = tmp_path / "out"
    export(project, format="jsonl", dest=dest)
    (dest / "README.md").write_text("how we chose the videos, in twenty pages")
    with pytest.raises(UsageError, match=r"changed since they were exported, such as 'README\.md'"):
        export(project, format="jsonl", dest=dest)
    assert (dest / "README.md").read_text().startswith("how we chose")
    (dest / "README.md").unlink()
    export(project, format="jsonl", dest=dest)


def test_a_file_that_is_added_while_the_export_runs_is_kept(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project)
    dest = tmp_path / "out"
    export(project, format="jsonl", dest=dest)
    write = step.write_manifest

    def meanwhile(*args: object, **more: object) -> str:
        (dest / "analysis.ipynb").write_text("mine")
        return write(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(step, "write_manifest", meanwhile)
    with pytest.raises(ExportError, match="changed while the export was written") as caught:
        export(project, format="jsonl", dest=dest)
    (kept,) = tmp_path.glob("out.kept-*")
    assert str(kept) in str(caught.value)
    assert contents(kept) == {"analysis.ipynb": b"mine"}
    assert read_manifest(dest)


@pytest.mark.parametrize("target", ["there", "not yet there"])
def test_a_link_is_followed_and_stays(target: str, project: Project, tmp_path: Path) -> None:
    fill(project)
    disk = tmp_path / "disk" / "dataset"
    (disk if target == "there" else disk.parent).mkdir(parents=True)
    (tmp_path / "out").symlink_to(disk)
    for _ in range(2):
        assert export(project, format="jsonl", dest=tmp_path / "out").path == disk
    assert (tmp_path / "out").is_symlink() and read_manifest(disk)


def test_a_link_that_leads_to_itself_is_a_message(project: Project, tmp_path: Path) -> None:
    fill(project)
    (tmp_path / "out").symlink_to(tmp_path / "out")
    with pytest.raises(UsageError, match="leads nowhere"):
        export(project, format="jsonl", dest=tmp_path / "out")


def test_a_name_that_is_too_long_is_a_message(project: Project, tmp_path: Path) -> None:
    fill(project)
    with pytest.raises(ExportError, match="cannot be written"):
        export(project, format="jsonl", dest=tmp_path / ("x" * 300))


def test_an_export_has_the_permissions_of_the_users_umask_and_keeps_those_of_an_earlier_one(
    project: Project, tmp_path: Path, annotate: RunAnnotate
) -> None:
    fill(project)
    for format in ("jsonl", "chsims-csv"):
        dest = tmp_path / format
        code = "import os; os.umask(0o027); import sys; sys.argv[0] = 'annotate'; import cli; cli.main()"
        done = subprocess.run(
            [sys.executable, "-c", code, "-C", project.root, "export", format, dest],
            cwd=ROOT, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = [dest, *dest.rglob("*")]
        assert {stat.S_IMODE(p.stat().st_mode) for p in found if p.is_dir()} == {0o750}
        assert {stat.S_IMODE(p.stat().st_mode) for p in found if p.is_file()} == {0o640}
    dest.chmod(0o700)
    export(project, format="chsims-csv", dest=dest)
    assert stat.S_IMODE(dest.stat().st_mode) == 0o700


def test_a_clip_that_cannot_be_read_is_named_and_not_the_destination(
    project: Project, tmp_path: Path
) -> None:
    fill(project)
    clip = next((project.media / "M").rglob("*.mp4"))
    clip.chmod(0o000)
    with pytest.raises(ExportError, match="cannot be read") as caught:
        as_an_ordinary_user(lambda: export(project, format="chsims-csv", dest=tmp_path / "out"))
    assert str(clip) in str(caught.value) and not (tmp_path / "out").exists()
