"""What a newcomer reads whose first videos have no transcripts."""

import json
import shutil
from pathlib import Path

import pytest

from annotate.errors import AnnotateError
from annotate.project import Project
from annotate.steps.ingest import ingest
from annotate.steps.recheck import recheck
from tests.conftest import MakeProject, RunAnnotate
from tests.journeys.test_ingest_checks import ruled
from tests.support.media_factory import make_video

RULE = "transcript = { min = 1 }"


class Lines:
    """A progress that keeps the lines it is given."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def bar(self, title: str, total: float | None, unit: str = ""):  # type: ignore[no-untyped-def]
        from annotate.progress import SILENT

        if title == "ingest":
            self.said.append("(cutting)")
        return SILENT.bar(title, total, unit)

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture
def footage(tmp_path: Path, example_videos: Path) -> Path:
    """A clip in which somebody talks, without its transcript, beside a file that has no sound."""
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy2(example_videos / "grid_bbaf2n.mpg", folder)
    make_video(folder / "mute.mp4", seconds=2, size=(128, 96), audio=None)
    return folder


def test_missing_transcripts_and_the_rule_that_asks_for_them_are_told_before_anything_is_cut(
    project: Project, footage: Path
) -> None:
    lines = Lines()
    with pytest.raises(AnnotateError):
        ingest(ruled(project, RULE), [footage], workers=1, progress=lines)
    before = "\n".join(lines.said[: lines.said.index("(cutting)")])
    assert "no transcript was found for 2 of 2 files" in before
    assert "the rule `transcript` in [checks]" in before
    for way in ("--transcripts", "transcribe.model", "[asr]", "annotate recheck"):
        assert way in before


def test_what_the_rules_rejected_is_not_blamed_on_other_files(
    project: Project, footage: Path, annotate: RunAnnotate
) -> None:
    ruled(project, RULE)
    done = annotate("ingest", footage, "--workers", "1", cwd=project.root)
    assert done.returncode == 1 and done.stdout == ""
    error = done.stderr[done.stderr.index("error: ") :]
    assert "1 cut, 1 rejected: transcript missing 1" in error
    assert "1 other file holds no sample (no-audio 1)" in error
    assert "mute.mp4" not in error and "somebody talks" not in error
    for way in ("--transcripts", "transcribe.model", "annotate recheck"):
        assert way in error


def test_turning_the_rule_off_brings_the_samples_back_without_a_cut(project: Project, footage: Path) -> None:
    with pytest.raises(AnnotateError):
        ingest(ruled(project, RULE), [footage], workers=1)
    assert recheck(ruled(project, "")).samples == 1


def test_a_first_run_of_the_default_preset_without_transcripts_ends_with_samples_and_says_what_they_lack(
    make_project: MakeProject, footage: Path, annotate: RunAnnotate
) -> None:
    project = make_project(checks=True)
    # Whether a face is found is not what is tried here.
    ruled(project, _without(project.root / "annotate.toml", "one-face"))
    done = annotate("ingest", footage, "--workers", "1", "--json", cwd=project.root)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["samples"], report["cut"], report["summary"]) == (1, 1, "1 cut, 0 rejected")
    assert "1 sample has no transcript and is not asked in the text pass" in report["ways_out"][0]
    assert "before raters are asked, because it cuts the videos again" in done.stderr


def test_videos_with_transcripts_or_a_transcriber_hear_nothing_of_missing_ones(
    project: Project, footage: Path, example_videos: Path
) -> None:
    shutil.copy2(example_videos / "grid_bbaf2n.srt", footage)
    lines = Lines()
    report = ingest(project, [footage / "grid_bbaf2n.mpg"], workers=1, progress=lines)
    assert not any("transcript" in line for line in lines.said)
    assert (report.ways_out, report.summary) == ([], "1 cut, 0 rejected")


def _without(file: Path, rule: str) -> str:
    """The rules of `[checks]` in a settings file, one left out."""
    section = file.read_text(encoding="utf-8").partition("[checks]")[2].partition("[repeats]")[0]
    return "\n".join(line for line in section.splitlines()[1:] if not line.startswith(rule))
