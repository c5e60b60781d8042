"""What ingest promises about files, speakers, splits, crashes and second runs."""

import errno
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from annotate.config.settings import Settings
from annotate.errors import AnnotateError, ConfigError, NothingToDo, ProjectBusy, UnknownName, UsageError
from annotate.ingest import run as run_step
from annotate.ingest.scratch import UNFINISHED
from annotate.ingest.worker import CannotWrite, cut
from annotate.project import Project
from annotate.registry import EXECUTORS
from annotate.steps import ingest as step
from annotate.steps.ingest import IngestReport, ingest
from annotate.temporary import PATTERN, temporary_name
from annotate.types import (
    CutPlan,
    PreparedSample,
    SampleMedia,
    Segment,
    VideoJob,
    VideoOutcome,
    VideoStatus,
    sample_id,
)
from db import models
from db.engine import reading, writing
from db.models import SampleStatus
from tests.conftest import MakeProject
from tests.journeys.test_groups import ask
from tests.support.executors import within_this_process
from tests.support.leftovers import name_of_an_ended_process
from tests.support.media_factory import make_video
from tests.support.processes import PATIENCE, until

ROOT = Path(__file__).parent.parent.parent


def stand_in(job: VideoJob) -> VideoOutcome | CannotWrite:
    """Cuts a text file that says what it wants to be: so that crashes cost no real video."""
    order, *rest = job.path.read_text(errors="replace").split()
    tries = job.media.parent / f"{job.sha256}.tries"
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    match order:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "crash-once" if len(tries.read_text()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        case "dies-while-rescuing":
            (job.media / temporary_name() / "copy").mkdir(parents=True)
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "bug":
            raise ZeroDivisionError("a bug")
        case "disk-full":
            return CannotWrite("no room left in media/", "make room")
        case "edited":
            job.path.write_text("speech 2")
        case "broken":
            return VideoOutcome(job.sha256, VideoStatus.FAILED, "broken", "no header", {}, ())
        case "silent":
            return VideoOutcome(job.sha256, VideoStatus.REJECTED, "no-speech", "nobody talks", {}, ())
    count = int(rest[0]) if rest else 1
    if job.sidecar is not None:
        count = int(job.sidecar.read_text())
    samples = tuple(_sample(job, number) for number in range(count))
    detail = "no face seen" if order == "faceless" else ""
    return VideoOutcome(job.sha256, VideoStatus.OK, "", detail, {"duration_us": 9_000_000}, samples)


def never_cut(job: VideoJob) -> VideoOutcome:
    """Fails the run in which something is cut."""
    raise AssertionError(job.path)


def full_disk(job: VideoJob) -> CannotWrite:
    """Stops the run at its first video."""
    return CannotWrite("no room left in media/", "make room")


def cut_with_little_room(job: VideoJob) -> VideoOutcome | CannotWrite:
    """The real thing, where no file may grow beyond 30 kB: a full disk for root and all others."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
    return cut(job)


def _sample(job: VideoJob, number: int) -> PreparedSample:
    length = round(job.plan.lengths.min_seconds * 1e6)
    segment = Segment(number * length, (number + 1) * length, f"word {number}")
    name = sample_id(job.sha256, segment)
    media = SampleMedia.under(job.media, name)
    for path in (media.audio, media.silent, media.clip):
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(f"{path.name}.{os.getpid()}.part")
        half.write_text(name)
        time.sleep(0.002)
        half.rename(path)
    return PreparedSample(name, segment, "subtitles", {"M": name}, {"speech": 1.0})


def harmless(fn: Any, job: VideoJob) -> bool:
    """Whether a job can neither end nor stop the process that it runs in."""
    words = job.path.read_text(errors="replace").split() if fn in (stand_in, full_disk) else []
    return bool(words) and words[0] not in ("crash", "crash-once", "dies-while-rescuing", "hang")


def let_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut stand-ins for videos, in this process where that is safe."""
    monkeypatch.setattr(run_step, "cut", stand_in)
    monkeypatch.setitem(EXECUTORS._classes, "process", within_this_process(harmless))


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    let_stand_in(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "videos"
    path.mkdir()
    return path


def make(folder: Path, **contents: str) -> None:
    for name, content in contents.items():
        (folder / f"{name}.mp4").write_text(content)


def with_settings(project: Project, **ingest_settings: Any) -> Project:
    content = project.settings.model_dump()
    content["ingest"] |= ingest_settings
    other = Project(project.root, Settings(**content))
    other.__dict__["engine"] = project.engine
    return other


def run(project: Project, *paths: Path, **options: Any) -> IngestReport:
    return ingest(project, paths, workers=2, **options)


def rows(project: Project, model: Any) -> list[Any]:
    with reading(project.engine) as session:
        return list(session.scalars(select(model)))


def videos(project: Project) -> dict[str, models.Video]:
    return {video.name: video for video in rows(project, models.Video)}


# ---- bad input -------------------------------------------------------------------------------------


def test_a_path_that_does_not_exist_is_a_usage_error(project: Project, folder: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        run(project, folder / "nowhere")


def test_the_projects_own_clips_are_refused(project: Project, folder: Path) -> None:
    make(folder, a="speech 1")
    run(project, folder)
    clip = next(project.media.rglob("*.mp4"))
    for path in (project.media, clip.parent, clip):
        with pytest.raises(UsageError, match="made itself"):
            run(project, path)


def test_a_slip_in_the_segmenter_is_told_before_any_video_is_touched(project: Project, folder: Path) -> None:
    make(folder, a="speech 2")
    run(project, folder)
    with pytest.raises(UnknownName) as caught:
        run(with_settings(project, segmenter="silero-vda"), folder)
    assert "silero-vad" in caught.value.hint
    assert {s.status for s in rows(project, models.Sample)} == {SampleStatus.OK}


def test_a_folder_without_videos_names_the_suffixes_looked_for(project: Project, folder: Path) -> None:
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(NothingToDo) as caught:
        run(project, folder)
    assert ".mp4" in caught.value.hint
    assert caught.value.exit_code == 3


def test_when_nothing_can_be_cut_the_rows_stay_and_the_reasons_are_told(
    project: Project, folder: Path
) -> None:
    make(folder, a="broken 1", b="broken 2", c="silent")
    with pytest.raises(AnnotateError, match=r"broken 2, no-speech 1"):
        run(project, folder)
    assert {v.reason for v in rows(project, models.Video)} == {"broken", "no-speech"}
    assert {v.split for v in rows(project, models.Video)} == {None}


def test_each_bad_file_has_its_line_and_stops_no_other(each_project: Project, folder: Path) -> None:
    make(folder, bad="broken", mute="silent", wrong="bug", good="speech 2")
    report = run(each_project, folder)
    assert (report.new, report.failed, report.rejected, report.samples) == (1, 2, 1, 2)
    assert report.reasons == {"broken": 1, "error": 1, "no-speech": 1}
    lines = {Path(p["file"]).stem: (p["status"], p["reason"], p["detail"]) for p in report.problems}
    assert lines["bad"] == ("failed", "broken", "no header")
    assert lines["mute"] == ("rejected", "no-speech", "nobody talks")
    assert lines["wrong"] == ("failed", "error", "ZeroDivisionError: a bug")


NAMES = (
    "with spaces", "it's \"quoted\"", "two\nlines", "-rf", "%03d", "concat:a|b", "\\udcff",
    "composed \u00e9", "decomposed e\u0301", "twins \u00e9", "twins e\u0301",
)  # fmt: skip


def test_odd_names_are_stored_and_told_apart(each_project: Project, folder: Path) -> None:
    for number, name in enumerate(NAMES):
        (folder / f"{name}.mp4").write_text(f"speech {number + 1}")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.mp4")).write_text("speech 20")
    report = run(each_project, folder)
    assert report.new == len(NAMES) + 1
    assert report.samples == sum(range(len(NAMES) + 1)) + 20
    assert len({file.path for file in rows(each_project, models.VideoFile)}) == len(NAMES) + 1
    assert run(each_project, folder).unchanged == len(NAMES) + 1


def test_hidden_files_and_the_projects_own_clips_are_passed_over(project: Project) -> None:
    make(project.root, talk="speech 1", **{".hidden": "speech 2"})
    (project.root / ".cache").mkdir()
    make(project.root / ".cache", deep="speech 3")
    clips = project.media / "M" / "00"
    clips.mkdir(parents=True)
    make(clips, clip="speech 4")
    assert run(project, project.root).files == 1


def test_links_are_followed_only_inside_the_folder(project: Project, folder: Path, tmp_path: Path) -> None:
    make(tmp_path, secret="speech 5")
    make(folder, talk="speech 1")
    (folder / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "gone.mp4").symlink_to(folder / "nothing.mp4")
    (folder / "loop").symlink_to(folder)
    report = run(project, folder)
    assert (report.files, report.samples) == (1, 1)
    assert "1 link out of" in report.warnings[0]


def _as_nobody(function: Any) -> int:
    """Exit code of `function` in a child that permissions apply to, even when we are root."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        code = function()
    finally:
        os._exit(code)


def test_an_unreadable_folder_has_its_line_and_stops_nothing() -> None:
    # Not below pytest's own folder: that one is closed to others.
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    (folder / "shut").mkdir()
    make(folder / "shut", secret="speech 1")
    make(folder, talk="speech 1")
    (folder / "shut").chmod(0)

    def look() -> int:
        found = step.find_files([folder], excluded=[])
        right = [f.relative for f in found.files] == ["talk.mp4"] and "shut" in found.unreadable[0][0]
        return 0 if right else 3

    try:
        assert _as_nobody(look) == 0
    finally:
        (folder / "shut").chmod(0o755)
        shutil.rmtree(folder)


def test_what_cannot_be_looked_at_is_told_at_once_and_in_the_report(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(folder, talk="speech 1")
    found = step.find_files([folder], excluded=[])
    found.unreadable.append((str(folder / "shut"), "Permission denied"))
    monkeypatch.setattr(step, "find_files", lambda *_, **__: found)
    listener = _Listener()
    report = run(project, folder, progress=listener)
    assert listener.lines[0] == f"cannot read {folder}/shut: Permission denied"
    assert report.problems[0]["reason"] == "unreadable"
    assert report.samples == 1


class _Listener:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.shown: list[str] = []
        self.advanced = 0.0
        self.total: float | None = None

    def bar(self, title: str, total: float | None, unit: str = "") -> Any:
        from contextlib import contextmanager

        @contextmanager
        def open_bar() -> Iterator[Any]:
            self.total, self.advanced = total, 0.0
            yield self

        return open_bar()

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.advanced += amount

    def line(self, key: str, text: str) -> None:
        self.shown.append(text)

    def drop(self, key: str) -> None:
        pass

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_a_full_disk_stops_the_run_and_the_next_one_goes_on(project: Project, folder: Path) -> None:
    make(folder, a="disk-full", b="speech 2")
    with pytest.raises(AnnotateError, match="no room left") as caught:
        run(project, folder)
    assert "make room" in caught.value.hint
    (folder / "a.mp4").write_text("speech 1")
    report = run(project, folder)
    assert (report.samples, report.failed) == (3, 0)
    assert not (project.media / UNFINISHED).exists()


def test_a_file_that_changes_while_it_is_read_is_left_for_the_next_run(
    project: Project, folder: Path
) -> None:
    make(folder, a="edited 5", b="speech 1")
    report = run(project, folder)
    assert report.reasons == {"changed": 1}
    assert report.samples == 1
    assert run(project, folder).samples == 3


def test_a_second_command_is_told_that_the_first_still_writes(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "LOCK_SECONDS", 0.1)
    make(folder, a="speech 1")
    with project.writing(), pytest.raises(ProjectBusy):
        run(Project.open(project.root), folder)


# ---- workers that die ------------------------------------------------------------------------------


def test_a_worker_that_is_killed_once_costs_nothing(project: Project, folder: Path) -> None:
    make(folder, a="crash-once 2", b="speech 3")
    report = run(project, folder)
    assert (report.samples, report.failed) == (5, 0)
    assert rows(project, models.WorkAttempt) == []


def test_a_worker_that_is_killed_in_a_rescue_leaves_no_copy(project: Project, folder: Path) -> None:
    make(folder, a="dies-while-rescuing", b="speech 1")
    assert run(project, folder).failed == 1
    assert not list(project.media.glob(PATTERN))


def test_poison_is_set_aside_after_three_attempts_and_the_others_succeed(
    project: Project, folder: Path
) -> None:
    project = with_settings(project, deadline_seconds=5.0)
    make(folder, a="crash", b="hang", c="speech 3", d="speech 4")
    listener = _Listener()
    report = run(project, folder, progress=listener)
    assert report.reasons == {"crashes": 1, "timeout": 1}
    assert report.samples == 7
    assert "SIGSEGV) (3 attempts)" in videos(project)["a"].detail
    assert {len(path.read_text()) for path in project.root.glob("*.tries")} == {1, 3}
    assert listener.advanced == listener.total == sum(f.stat().st_size for f in folder.iterdir())
    assert any(text.startswith("c.mp4") for text in listener.shown)
    again = run(project, folder)
    assert (again.unchanged, again.failed) == (4, 2)


def test_a_failed_file_is_tried_again_once_it_is_touched(project: Project, folder: Path) -> None:
    make(folder, a="crash-once 2", b="speech 1")
    once = with_settings(project, attempts=1)
    assert run(once, folder).failed == 1
    os.utime(folder / "a.mp4", ns=(1, 1))
    assert run(once, folder).samples == 3


CTRL_C = """
import sys
from pathlib import Path
import cli
from annotate.ingest import run as _ingest_run
from tests.journeys.test_ingest import stand_in
if __name__ == "__main__":
    _ingest_run.cut = stand_in
    sys.argv[1:1] = ["-C", sys.argv.pop(1)]
    cli.main()
"""


def test_ctrl_c_ends_at_once_with_130_and_the_next_run_goes_on(
    project: Project, folder: Path, tmp_path: Path
) -> None:
    make(folder, a="speech 1", b="hang")
    script = tmp_path / "run.py"
    script.write_text(CTRL_C)
    command = subprocess.Popen(
        [sys.executable, script, project.root, "ingest", folder, "--workers", "1"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert until(lambda: len(list(project.root.glob("*.tries"))) == 2)
    command.send_signal(signal.SIGINT)
    # It does not wait for the unit, which hangs for longer.
    _, complaint = command.communicate(timeout=PATIENCE)
    assert command.returncode == 130, complaint
    # Above it stands what ingest says beforehand about missing transcripts.
    assert complaint.endswith("\ninterrupted; run the command again to go on\n")
    assert "Traceback" not in complaint
    make(folder, b="speech 2")
    assert run(project, folder).samples == 3


def test_the_report_tells_hours_of_video_and_how_fast_they_were_cut(
    each_project: Project, folder: Path
) -> None:
    make(folder, a="speech 3", b="speech 1", c="broken")
    report = run(each_project, folder)
    assert report.hours_of_video == pytest.approx(2 * 9 / 3600)
    assert report.times_real_time is not None and report.times_real_time > 0
    again = run(each_project, folder)
    assert again.hours_of_video == report.hours_of_video
    assert again.times_real_time is None


# ---- second runs -----------------------------------------------------------------------------------


def test_the_second_run_opens_nothing(
    each_project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(folder, a="speech 1", b="speech 2", c="broken")
    (folder / "b.srt").write_text("4")
    first = run(each_project, folder)
    before = [_plain(each_project, model) for model in (models.Video, models.VideoFile, models.Event)]
    opened: list[str] = []

    def watch(event: str, arguments: Sequence[Any]) -> None:
        if event == "open" and str(arguments[0]).startswith(str(folder)):
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)
    monkeypatch.setattr(run_step.Run, "cut_changed", None)
    second = run(each_project, folder)
    watched, opened = opened, []
    assert watched == []
    assert (second.new, second.unchanged, second.failed) == (0, 3, 1)
    assert (second.samples, second.splits, second.problems) == (5, first.splits, first.problems)
    assert [_plain(each_project, m) for m in (models.Video, models.VideoFile, models.Event)] == before


def _plain(project: Project, model: Any) -> list[dict[str, Any]]:
    columns = [column.key for column in model.__table__.columns]
    return sorted(({c: getattr(row, c) for c in columns} for row in rows(project, model)), key=str)


def test_the_same_content_under_two_names_is_one_video(each_project: Project, folder: Path) -> None:
    make(folder, a="speech 3", b="speech 3", c="speech 1")
    report = run(each_project, folder)
    assert (report.files, report.new, report.samples) == (3, 2, 4)
    assert set(videos(each_project)) == {"a", "c"}
    make(folder, d="speech 3")
    again = run(each_project, folder)
    assert (again.new, again.unchanged, again.samples) == (0, 3, 4)
    assert len(rows(each_project, models.VideoFile)) == 4


def test_a_moved_file_is_not_cut_again(project: Project, folder: Path) -> None:
    make(folder, a="speech 3")
    run(project, folder)
    (folder / "a.mp4").rename(folder / "z.mp4")
    report = run(project, folder)
    assert (report.new, report.samples) == (0, 3)


def test_other_settings_cut_again_retire_what_is_gone_and_bring_it_back(
    each_project: Project, folder: Path
) -> None:
    make(folder, a="speech 3")
    run(each_project, folder)
    first = {s.id for s in rows(each_project, models.Sample)}
    report = run(with_settings(each_project, min_seconds=2.0), folder)
    assert (report.new, report.samples) == (1, 3)
    retired = {s.id for s in rows(each_project, models.Sample) if s.status == SampleStatus.RETIRED}
    assert retired == first
    assert run(each_project, folder).samples == 3
    alive = {s.id for s in rows(each_project, models.Sample) if s.status == SampleStatus.OK}
    assert alive == first
    assert len({s.split for s in rows(each_project, models.Sample)}) == 1


def test_samples_that_are_no_longer_cut_are_told_and_keep_what_people_said(
    each_project: Project, folder: Path
) -> None:
    make(folder, a="speech 3")
    assert not run(each_project, folder).warnings
    judged = rows(each_project, models.Sample)[0].id
    with writing(each_project.engine) as session:
        who = models.Annotator(name="a@example.com")
        session.add(who)
        session.flush()
        session.add(models.Annotation(
            sample_id=judged, task_id="sentiment.M", annotator_id=who.id, state="answered",
            value="0", origin="s#1", revision="1", created_at=models.now(), raw={},
        ))  # fmt: skip
    report = run(with_settings(each_project, min_seconds=2.0), folder)
    assert [w for w in report.warnings if "retired" in w] == [
        "3 samples are retired, because the videos are cut otherwise now; people have judged 1 of them, "
        "and their answers are kept"
    ]
    assert [row.sample_id for row in rows(each_project, models.Annotation)] == [judged]
    assert not run(with_settings(each_project, min_seconds=2.0), folder).warnings


def test_a_cut_that_was_broken_off_is_made_anew_by_the_old_settings_too(
    each_project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(folder, a="speech 3", b="speech 1")
    run(each_project, folder)
    with monkeypatch.context() as patch:
        patch.setattr(run_step, "cut", full_disk)
        with pytest.raises(AnnotateError, match="no room left"):
            run(with_settings(each_project, cut="copy"), folder / "a.mp4")
    report = run(each_project, folder)
    assert (report.new, report.unchanged, report.samples) == (1, 1, 4)
    assert run(each_project, folder).unchanged == 2


@pytest.mark.parametrize("kind", ["clip", "audio", "silent"])
def test_a_clip_that_was_deleted_is_cut_again(each_project: Project, folder: Path, kind: str) -> None:
    make(folder, a="speech 3", b="speech 2")
    run(each_project, folder)
    lost = getattr(each_project.sample_media(rows(each_project, models.Sample)[0].id), kind)
    lost.unlink()
    report = run(each_project, folder)
    assert (report.new, report.unchanged, report.samples) == (1, 1, 5)
    assert "cut again" in report.warnings[0]
    assert lost.exists()
    assert run(each_project, folder).unchanged == 2


def test_what_is_odd_about_a_good_video_is_told_each_time(project: Project, folder: Path) -> None:
    make(folder, a="faceless", b="faceless 2", c="speech 1")
    assert run(project, folder).notes == {"no face seen": 2}
    assert run(project, folder).notes == {"no face seen": 2}


def test_edited_subtitles_cut_again(project: Project, folder: Path) -> None:
    make(folder, a="speech 9", b="speech 1")
    (folder / "a.srt").write_text("2")
    assert run(project, folder).samples == 3
    (folder / "a.srt").write_text("4")
    os.utime(folder / "a.srt", ns=(5, 5))
    report = run(project, folder)
    assert (report.new, report.unchanged, report.samples) == (1, 1, 5)


def test_half_files_of_a_killed_run_are_swept(project: Project, folder: Path) -> None:
    make(folder, a="speech 1")
    orphan, mine = project.media / "M" / "ab" / name_of_an_ended_process(), project.media / "M" / "talk.part"
    for path in (orphan, mine):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (project.media / UNFINISHED).touch()
    run(project, folder)
    assert list(project.media.rglob("*.part")) == [mine]
    assert not (project.media / UNFINISHED).exists()


# ---- speakers and splits ---------------------------------------------------------------------------


def test_a_table_wins_over_a_pattern_and_that_over_the_video(project: Project, folder: Path) -> None:
    (folder / "deep").mkdir()
    make(folder, s1_a="speech 1", s2_b="speech 2", other="speech 3")
    make(folder / "deep", s1_c="speech 4")
    table = folder.parent / "speakers.csv"
    table.write_text(
        "file,speaker\ndeep/s1_c.mp4,anna\ns2_b.mp4,ben\nmissing.mp4,cleo\n", encoding="utf-8-sig"
    )
    report = run(project, folder, speakers=table, speaker_pattern="(?P<speaker>s[0-9]+)_")
    found = videos(project)
    assert [found[n].speaker for n in ("s1_a", "s1_c", "s2_b")] == ["s1", "anna", "ben"]
    assert found["other"].speaker == found["other"].sha256
    assert report.warnings == ["1 file of the speaker table was not found: missing.mp4"]


def test_the_settings_pattern_is_used_when_no_option_is_given(project: Project, folder: Path) -> None:
    make(folder, s7_a="speech 1")
    run(with_settings(project, speaker_pattern="(?P<speaker>s[0-9]+)_"), folder)
    assert videos(project)["s7_a"].speaker == "s7"


@pytest.mark.parametrize("pattern", ["(?P<speaker>", "s[0-9]+"])
def test_a_pattern_that_cannot_be_used_is_an_error(project: Project, folder: Path, pattern: str) -> None:
    make(folder, a="speech 1")
    with pytest.raises(UsageError, match="speaker pattern"):
        run(project, folder, speaker_pattern=pattern)
    with pytest.raises(ConfigError, match="speaker pattern"):
        run(with_settings(project, speaker_pattern=pattern), folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "columns none"),
        (b"file,who\na.mp4,x\n", "columns file, who"),
        (b"file,speaker,age\na.mp4,x,3\n", "columns file, speaker, age"),
        (b"file,speaker\na.mp4\n", "line 2"),
        (b"file,speaker\na.mp4,x\na.mp4,y\n", "two speakers, x and y"),
        (b"file,speaker\n\xff,x\n", "cannot be read"),
    ],
)
def test_a_speaker_table_that_cannot_be_used_is_an_error(
    project: Project, folder: Path, content: bytes, words: str
) -> None:
    make(folder, a="speech 1")
    table = folder.parent / "speakers.csv"
    table.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        run(project, folder, speakers=table)


def test_every_speaker_is_in_one_split_and_stays_there_once_asked(
    each_project: Project, folder: Path
) -> None:
    make(folder, **{f"s{n % 6}_{n}": f"speech {n}" for n in range(1, 13)}, bad="broken")
    pattern = {"speaker_pattern": "(?P<speaker>s[0-9]+)_"}
    report = run(each_project, folder, **pattern)
    home = {v.speaker: v.split for v in videos(each_project).values() if v.status == "ok"}
    assert set(home.values()) == {"train", "valid", "test"}
    assert sum(report.splits.values()) == report.samples == 78
    split_of = {v.sha256: v.split for v in videos(each_project).values()}
    assert all(s.split == split_of[s.video_sha256] for s in rows(each_project, models.Sample))
    assert videos(each_project)["bad"].split is None
    ask(each_project, *(v.sha256 for v in videos(each_project).values() if v.status == "ok"))
    make(folder, s0_99="speech 30", s9_98="speech 31")
    run(each_project, folder, **pattern)
    after = {v.speaker: v.split for v in videos(each_project).values() if v.status == "ok"}
    assert {speaker: after[speaker] for speaker in home} == home
    assert videos(each_project)["s0_99"].split == home["s0"]


def test_a_speaker_named_after_raters_were_asked_never_moves_a_split(
    each_project: Project, folder: Path
) -> None:
    make(folder, a="speech 3", b="speech 4", c="speech 5")
    run(each_project, folder)
    before = {v.name: v.split for v in videos(each_project).values()}
    assert set(before.values()) == {"train", "valid", "test"}
    ask(each_project, *(v.sha256 for v in videos(each_project).values()))
    report = run(each_project, folder, speaker_pattern=r"(?P<speaker>videos)/")
    assert {v.name: v.split for v in videos(each_project).values()} == before
    assert [v.speaker for v in videos(each_project).values()].count("videos") == 1
    assert report.warnings[0].startswith("2 videos keep their old speaker")


def test_a_replaced_file_keeps_its_speaker_and_split_unless_somebody_names_another(
    each_project: Project, folder: Path
) -> None:
    names = [f"v{n}" for n in range(1, 7)]
    make(folder, **{name: f"speech {n}" for n, name in enumerate(names, 1)}, failed="broken")
    run(each_project, folder)
    before = {v.name: v for v in videos(each_project).values()}
    assert {before[name].split for name in names} == {"train", "valid", "test"}
    ask(each_project, *(before[name].sha256 for name in names))
    make(folder, **{name: f"speech {n} again" for n, name in enumerate(names, 1)}, failed="speech 9")
    table = folder.parent / "speakers.csv"
    table.write_text("file,speaker\nv6.mp4,anna\n")
    report = run(each_project, folder, speakers=table)
    assert any(warning.startswith("7 files hold another video than before") for warning in report.warnings)
    after = {v.sha256: v for v in rows(each_project, models.Video)}
    new = {after[sha256].name: after[sha256] for sha256 in after.keys() - {v.sha256 for v in before.values()}}
    for name in names[:-1]:
        assert (new[name].speaker, new[name].split) == (before[name].speaker, before[name].split)
    assert new["v6"].speaker == "anna"
    assert new["failed"].speaker == new["failed"].sha256


def test_two_projects_that_saw_the_files_in_another_order_agree(
    make_project: MakeProject, folder: Path
) -> None:
    make(folder, **{f"v{n}": f"speech {n}" for n in range(1, 6)})
    one, two = make_project(name="one"), make_project(name="two")
    run(one, folder)
    run(two, *[folder / f"v{n}.mp4" for n in (4, 2, 5, 1, 3)])
    assert _plain(one, models.Video) == _plain(two, models.Video)
    assert _plain(one, models.Sample) == _plain(two, models.Sample)


# ---- real footage ----------------------------------------------------------------------------------


@pytest.fixture
def footage(folder: Path, example_videos: Path) -> Path:
    """Two real clips with subtitles, and one that cannot be read."""
    for name in ("grid_bbaf2n", "grid_lbax4n"):
        for suffix in (".mpg", ".srt"):
            shutil.copy2(example_videos / f"{name}{suffix}", folder)
    make(folder, text="no video at all")
    return folder


def test_real_footage_is_cut_once_and_a_second_run_cuts_nothing(
    project: Project, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_step, "cut", cut)
    first = run(project, footage)
    assert (first.new, first.failed, first.samples) == (2, 1, 2)
    for sample in rows(project, models.Sample):
        media = project.sample_media(sample.id)
        for key, path in (("M", media.clip), ("A", media.audio), ("V", media.silent)):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == sample.media_sha256[key]
    monkeypatch.setattr(run_step, "cut", never_cut)
    second = run(project, footage)
    assert (second.unchanged, second.failed) == (3, 1)


def test_a_media_folder_that_cannot_be_written_is_no_fault_of_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(job: VideoJob) -> VideoOutcome:
        raise PermissionError(errno.EACCES, "Permission denied", str(job.media / "M" / "x.mp4"))

    monkeypatch.setattr("annotate.ingest.prepare.prepare", refuse)
    job = VideoJob(tmp_path / "a.mp4", "00", tmp_path / "media", None, CutPlan())
    assert cut(job) == CannotWrite(
        f"{tmp_path}/media/M/x.mp4 cannot be written: Permission denied", "check who owns it"
    )


def test_a_disk_that_fills_while_cutting_leaves_nothing_partial(
    project: Project, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_step, "cut", cut_with_little_room)
    with pytest.raises(AnnotateError) as caught:
        run(project, footage)
    assert (caught.value.exit_code, "make room" in caught.value.hint) == (1, True)
    assert rows(project, models.Sample) == []
    assert [p for p in project.media.rglob("*") if p.suffix == ".part"] == []
    monkeypatch.setattr(run_step, "cut", cut)
    assert run(project, footage).samples == 2


@pytest.mark.parametrize("asked", [{"cut": "copy"}, {"hide_subtitles": True}], ids=["copy", "hide"])
def test_a_full_disk_leaves_nothing_partial_where_copies_or_hidden_subtitles_are_asked_for(
    asked: dict[str, Any], project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_video(folder / "a.mp4", seconds=6)
    assert made.stat().st_size > 30_000
    asking = with_settings(project, **asked)
    monkeypatch.setattr(run_step, "cut", cut_with_little_room)
    with pytest.raises(AnnotateError) as caught:
        run(asking, folder)
    assert (caught.value.exit_code, "make room" in caught.value.hint) == (1, True)
    assert rows(project, models.Sample) == []
    assert [p for p in project.media.rglob("*") if p.suffix == ".part"] == []
    monkeypatch.setattr(run_step, "cut", cut)
    assert run(asking, folder).samples >= 1
    for sample in rows(project, models.Sample):
        clip = project.sample_media(sample.id).clip
        assert hashlib.sha256(clip.read_bytes()).hexdigest() == sample.media_sha256["M"]
