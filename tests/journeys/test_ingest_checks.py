"""From footage to verdicts: rules reject with reasons, are explained, and change without another cut."""

import json
import re
import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from annotate.errors import ConfigError, NothingToDo, UnknownName, UsageError
from annotate.ingest import run as _ingest_run
from annotate.ingest.outlook import CutCounts, ways_out
from annotate.project import Project
from annotate.steps.explain import explain
from annotate.steps.ingest import ingest
from annotate.steps.recheck import recheck
from annotate.types import Split
from db import models
from db.engine import reading, writing
from db.models import QuestionState, SampleStatus
from tests.conftest import MakeProject, RunAnnotate
from tests.support.factories import add_video
from tests.support.media_factory import make_video

NAMES = ("grid_bbaf2n", "grid_lbax4n")


@pytest.fixture
def folder(tmp_path: Path, example_videos: Path) -> Path:
    """Two real clips with their words."""
    path = tmp_path / "videos"
    path.mkdir()
    for name in NAMES:
        for suffix in (".mpg", ".srt"):
            shutil.copy2(example_videos / f"{name}{suffix}", path)
    return path


def ruled(project: Project, rules: str) -> Project:
    """The project as its user left it after an edit of `[checks]`."""
    file = project.root / "annotate.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r"(?ms)^\[checks\].*?(?=^\[)", f"[checks]\n{rules}\n\n", text), encoding="utf-8")
    project.engine.dispose()
    return Project.open(project.root)


def statuses(project: Project) -> set[str]:
    with reading(project.engine) as session:
        return set(session.scalars(select(models.Sample.status)))


def test_the_presets_rules_take_real_clips_that_talk(make_project: MakeProject, folder: Path) -> None:
    report = ingest(make_project(checks=True), [folder], workers=1)
    explained = {k: v for k, v in report.rejected_samples.items() if k not in ("face", "one-face")}
    assert explained == {}


def test_rules_change_and_change_back_without_a_cut_and_are_explained(
    project: Project, folder: Path, annotate: RunAnnotate, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ingest(project, [folder], workers=1)
    assert (first.samples, first.rejected_samples) == (2, {})
    with writing(project.engine) as session:
        sample = session.scalars(select(models.Sample).order_by(models.Sample.id)).first()
        assert sample is not None
        batch = models.Batch(strategy="x", seed=0, settings={})
        session.add(batch)
        session.flush()
        session.add(models.Question(
            batch_id=batch.id, sample_id=sample.id, modality="T", role="active", rank=0, score=0.0,
            inclusion_probability=None, state=QuestionState.OPEN, key="k",
        ))  # fmt: skip
    strict = ruled(project, "duration = { min = 30 }")
    monkeypatch.setattr(_ingest_run, "cut", None)
    before = recheck(strict)
    assert (before.before, before.samples, before.rejected) == (2, 0, {"duration": 2})
    assert "1 question about rejected samples is open in Label Studio" in before.warnings[-1]
    assert statuses(strict) == {SampleStatus.REJECTED}
    told = annotate("explain", "grid_bbaf2n", "--json", cwd=strict.root)
    assert told.returncode == 0, told.stderr
    (row,) = json.loads(told.stdout)["samples"]
    assert (row["status"], row["text"]) == ("rejected", "bin blue at f two now")
    assert row["reasons"].startswith("duration: too short: 1.") and row["reasons"].endswith("< 30 s")
    assert row["language"] == "und" and 15 < row["snr"] < 60 and row["clipping"] < 0.02
    state = json.loads(annotate("status", "--json", cwd=strict.root).stdout)
    assert state["rejected"] == {"duration": 2} and sum(state["samples"].values()) == 0
    lax = ruled(strict, "duration = { min = 1 }")
    assert (recheck(lax).samples, statuses(lax)) == (2, {SampleStatus.OK})


def test_when_no_sample_keeps_to_the_rules_the_rule_is_named(
    project: Project, folder: Path, annotate: RunAnnotate
) -> None:
    ruled(project, "duration = { max = 1 }")
    done = annotate("ingest", folder, "--workers", "1", cwd=project.root)
    assert done.returncode == 1
    assert "no sample satisfies the rules of [checks] in annotate.toml: 2 cut, 2 rejected: duration 2" in (
        done.stderr
    )
    assert "annotate explain" in done.stderr and "annotate recheck" in done.stderr


def test_a_slip_in_a_rule_is_told_before_any_video_is_touched(
    project: Project, folder: Path, annotate: RunAnnotate
) -> None:
    ruled(project, "loudnes = { min = -50 }")
    for words in (["ingest", str(folder)], ["recheck"]):
        done = annotate(*words, cwd=project.root)
        assert done.returncode == 1 and "did you mean 'loudness'?" in done.stderr, done.stderr
    assert "loudness" in annotate("doctor", cwd=project.root).stdout
    with reading(project.engine) as session:
        assert session.scalars(select(models.Video)).all() == []


def test_a_copy_in_another_encoding_joins_the_split_of_its_original(project: Project, tmp_path: Path) -> None:
    footage = tmp_path / "videos"
    footage.mkdir()
    make_video(footage / "original.mp4", seconds=6, size=(128, 96))
    ingest(project, [footage], workers=1)
    make_video(footage / "again.mkv", seconds=6, size=(160, 120))
    for name in ("grid_brbk7n", "grid_pwij3p"):
        shutil.copy2(Path(__file__).parents[2] / "examples" / "videos" / f"{name}.mpg", footage)
    ingest(project, [footage], workers=1)
    with reading(project.engine) as session:
        splits = {video.name: video.split for video in session.scalars(select(models.Video))}
        assert splits["again"] == splits["original"]
        pairs = session.scalars(select(models.AudioDuplicate)).all()
        samples = {s.id: s.video_sha256 for s in session.scalars(select(models.Sample))}
        video = {v.sha256: v.name for v in session.scalars(select(models.Video))}
    assert {frozenset((video[samples[p.first]], video[samples[p.second]])) for p in pairs} == {
        frozenset(("again", "original"))
    }


# ---- naming a video --------------------------------------------------------------------------------


def named(project: Project, name: str, path: str, split: Split | None = None) -> str:
    with writing(project.engine) as session:
        video = add_video(session, name + path, split=split)
        video.name = name
        session.add(models.VideoFile(
            path=path, size=1, mtime_ns=1, inode=1, sidecar_mtime_ns=0, video_sha256=video.sha256
        ))  # fmt: skip
        return video.sha256


def test_a_video_is_found_by_path_name_or_sha256(each_project: Project) -> None:
    sha256 = named(each_project, "a_b%", "/films/a_b%.mp4")
    named(each_project, "axbc", "/films/axbc.mp4")
    for name in ("/films/a_b%.mp4", "a_b%.mp4", "a_b%", sha256, sha256[:10].upper()):
        assert explain(each_project, name).sha256 == sha256, name


def test_an_ambiguous_name_lists_the_videos(project: Project) -> None:
    first, _ = named(project, "talk", "/one/talk.mp4"), named(project, "talk", "/two/talk.mp4")
    with pytest.raises(UsageError, match=r"2 videos are called 'talk'.*/one/talk.mp4") as caught:
        explain(project, "talk")
    assert "sha256" in caught.value.hint
    assert explain(project, "/one/talk.mp4").sha256 == first


def test_an_unknown_name_is_told_with_the_nearest(project: Project) -> None:
    with pytest.raises(NothingToDo, match="no video was ingested yet"):
        explain(project, "talk")
    named(project, "interview_07", "/films/interview_07.mp4")
    with pytest.raises(UnknownName) as caught:
        explain(project, "interview_70.mp4")
    assert "interview_07" in caught.value.hint
    with pytest.raises(UnknownName) as caught:
        explain(project, "VIEW")
    assert "did you mean 'interview_07'?" in caught.value.hint
    with pytest.raises(UnknownName) as caught:
        explain(project, "zzz")
    assert "its path, its file name, or the beginning of its sha256" in caught.value.hint


def test_an_unreadable_file_is_explained_too(project: Project) -> None:
    with writing(project.engine) as session:
        session.add(models.VideoFile(
            path="/films/shut.mp4", size=1, mtime_ns=1, inode=1, sidecar_mtime_ns=0, reason="unreadable"
        ))  # fmt: skip
    report = explain(project, "/films/shut.mp4")
    assert (report.status, report.reason) == ("failed", "unreadable")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "no video is named"),
        (["x.mp4", "--recheck"], "do not go together"),
        (["--recheck", "--explain", "x"], "do not go together"),
    ],
)
def test_ingest_wants_exactly_one_thing_to_do(
    project: Project, annotate: RunAnnotate, words: list[str], complaint: str
) -> None:
    done = annotate("ingest", *words, cwd=project.root)
    assert done.returncode == 2 and complaint in done.stderr


def test_the_old_flags_of_ingest_do_the_same_as_the_commands_and_name_them(
    project: Project, annotate: RunAnnotate
) -> None:
    with writing(project.engine) as session:
        add_video(session, "talk")
    for flag, words in (("--recheck", ["recheck"]), ("--explain", ["explain", "talk"])):
        old = annotate("ingest", flag, *words[1:], "--json", cwd=project.root)
        new = annotate(*words, "--json", cwd=project.root)
        assert (old.returncode, old.stdout) == (0, new.stdout), old.stderr
        assert f"notice: `annotate ingest {flag}` is now `annotate {words[0]}`" in old.stderr
        assert "notice" not in new.stderr
        assert annotate("ingest", flag, *words[1:], "-q", cwd=project.root).stderr == ""


@pytest.mark.parametrize("words", [["--recheck"], ["--explain", "x"]])
def test_options_that_would_do_nothing_are_refused(
    project: Project, annotate: RunAnnotate, words: list[str]
) -> None:
    done = annotate("ingest", *words, "--hide-subtitles", "--transcripts", "x", cwd=project.root)
    assert done.returncode == 2
    assert "--transcripts, --hide-subtitles would do nothing" in done.stderr


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("black = { max = 30 }", "black says 30, but black is a share, from 0 to 1"),
        ("mouth-moves-with-voice = { min = 15 }", "a correlation, from -1 to 1"),
    ],
)
def test_a_limit_in_percent_is_refused_because_it_would_take_everything_or_nothing(
    project: Project, rule: str, told: str
) -> None:
    strict = ruled(project, rule)
    with pytest.raises(ConfigError, match=told):
        recheck(strict)
    strict.engine.dispose()


def test_whoever_hides_subtitles_is_told_of_the_rule_that_still_rejects_them(project: Project) -> None:
    hiding = project.overruled("ingest", hide_subtitles=True).settings
    lettered, quiet = (CutCounts(2, 2, {check: 2}, 0) for check in ("burnt-in-text", "snr"))
    assert "subtitles are hidden, but" in ways_out(lettered, hiding)[0]
    assert "hide_subtitles = true" in ways_out(lettered, project.settings)[0]
    assert "burnt-in-text" not in ways_out(quiet, hiding)[0]
