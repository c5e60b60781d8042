"""What ingest says about transcripts: which one is used, what of it was dropped or guessed, in which file."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from annotate.errors import AnnotateError, UsageError
from annotate.ingest.files import find_files
from annotate.ingest.notes import counted_notes
from annotate.ingest.transcripts import attach_transcripts, find_given
from annotate.project import Project
from annotate.steps.explain import explain
from annotate.steps.ingest import IngestReport, ingest
from annotate.types import TranscriptOptions


@pytest.fixture
def clip(example_videos: Path) -> Path:
    return example_videos / "grid_bbaf2n.mpg"


def put(clip: Path, path: Path, **beside: str | bytes) -> Path:
    """A copy of the clip, with files of its name and these endings beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(clip, path)
    for ending, content in beside.items():
        path.with_suffix(f".{ending}").write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def srt_of(*texts: str, times: str = "00:00:00,700 --> 00:00:02,400") -> str:
    return "".join(f"{n}\n{times}\n{text}\n\n" for n, text in enumerate(texts, 1))


def run(project: Project, *paths: Path, **options: Any) -> IngestReport:
    return ingest(project, paths, workers=1, **options)


def spoken(project: Project, video: Path) -> list[str]:
    return [
        str(sample["text"])
        for sample in explain(project, str(video)).samples
        if sample["status"] != "retired"
    ]


def test_of_two_copies_with_two_transcripts_the_first_path_counts_and_goes_on_to(
    project: Project, tmp_path: Path, clip: Path
) -> None:
    bare = put(clip, tmp_path / "v" / "a.mpg")
    first = put(clip, tmp_path / "v" / "b.mpg", srt=srt_of("bin blue"))
    second = put(clip, tmp_path / "v" / "c.mpg", srt=srt_of("lay green"))
    report = run(project, tmp_path / "v")
    (warning,) = [text for text in report.warnings if "another path" in text]
    assert f"{second.with_suffix('.srt')} (used: {first.with_suffix('.srt')})" in warning
    for path in (bare, first, second):
        told = explain(project, str(path))
        assert told.transcript == str(first.with_suffix(".srt"))
        assert spoken(project, path) == ["bin blue"]
    # A copy that is added in front of it changes nothing that people may have judged; its own change does.
    put(clip, tmp_path / "v" / "0.mpg", srt=srt_of("set white"))
    report = run(project, tmp_path / "v")
    assert report.new == 0
    assert any("0.srt (used: " in text for text in report.warnings)
    put(clip, first, srt=srt_of("bin red"))
    run(project, tmp_path / "v")
    assert spoken(project, bare) == ["bin red"]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_copy_whose_transcript_holds_nothing_usable_gives_way_to_one_with_another(
    project: Project, tmp_path: Path, clip: Path, *, at_once: bool
) -> None:
    bad = [put(clip, tmp_path / "v" / name, srt=text) for name, text in (("a.mpg", ""), ("b.mpg", "hello"))]
    if not at_once:
        with pytest.raises(AnnotateError):
            run(project, tmp_path / "v")
    good = put(clip, tmp_path / "v" / "c.mpg", srt=srt_of("bin blue"))
    report = run(project, tmp_path / "v")
    assert (report.new, report.rejected) == (1, 0)
    for path in (*bad, good):
        assert explain(project, str(path)).transcript == str(good.with_suffix(".srt"))
        assert spoken(project, path) == ["bin blue"]
    assert run(project, tmp_path / "v").new == 0


def test_of_a_copy_the_message_says_that_it_is_one_where_another_ones_transcript_is_at_fault(
    project: Project, tmp_path: Path, clip: Path
) -> None:
    first = put(clip, tmp_path / "v" / "a.mpg", srt="hello")
    copy = put(clip, tmp_path / "w" / "b.mpg")
    with pytest.raises(AnnotateError, match=r"b\.mpg: the same video as .*a\.mpg: .*a\.srt holds no usable"):
        run(project, first.parent, copy.parent)
    assert explain(project, str(copy)).detail.startswith(f"the same video as {first}: ")
    assert explain(project, str(first)).detail.startswith(str(first.with_suffix(".srt")))


def test_what_was_dropped_and_guessed_is_told_with_the_name_of_the_users_file(
    project: Project, tmp_path: Path, clip: Path
) -> None:
    text = srt_of("Я очень рад тебя видеть", "И я тоже рад, спасибо") + srt_of(
        "потеряно", times="00:00:02,4x0 --> 00:00:02,900"
    )
    video = put(clip, tmp_path / "v" / "talk.mpg", srt=text.encode("cp1251"))
    report = run(project, video)
    dropped = "dropped 1 subtitle cue with damaged times (talk.srt, line 10)"
    assert report.notes[dropped] == 1
    assert any("read as cp1251, which is a guess" in note for note in report.notes)
    told = explain(project, "talk")
    assert dropped in told.detail
    assert "read as cp1251, which is a guess" in told.detail
    assert (told.transcript, spoken(project, video)) == (
        str(video.with_suffix(".srt")), ["Я очень рад тебя видеть И я тоже рад, с…"]
    )  # fmt: skip


def test_a_table_of_whole_clips_makes_samples_or_says_why_not(
    project: Project, tmp_path: Path, clip: Path, example_videos: Path
) -> None:
    put(clip, tmp_path / "v" / "s1.mpg")
    table = tmp_path / "texts.csv"
    table.write_text("file,text\ns1.mpg,bin blue at f two now\nlong.mp4,a long talk\n")
    report = run(project, tmp_path / "v", transcripts=table)
    told = explain(project, "s1")
    (sample,) = told.samples
    assert (sample["text"], sample["start"], told.transcript) == ("bin blue at f two now", 0.0, "texts.csv")
    assert report.warnings == ["1 transcript fits no video: texts.csv: long.mp4"]


def test_a_whole_clip_of_more_than_a_minute_is_rejected_as_too_long(
    project: Project, tmp_path: Path, clip: Path
) -> None:
    import subprocess

    import imageio_ffmpeg

    video = tmp_path / "v" / "long.mp4"
    video.parent.mkdir()
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "color=gray:s=64x64:r=5:d=62",
         "-f", "lavfi", "-i", "sine=300:d=62", str(video)], check=True,
    )  # fmt: skip
    table = tmp_path / "texts.csv"
    table.write_text("file,text\nlong.mp4,a long talk\n")
    with pytest.raises(AnnotateError):
        run(project, video.parent, transcripts=table)
    told = explain(project, "long")
    assert (told.status, told.reason) == ("rejected", "long-utterance")
    assert "long.mp4 lasts 62 s, and texts.csv gives its text without times" in told.detail


def test_a_message_names_the_copy_that_was_asked_about(project: Project, tmp_path: Path, clip: Path) -> None:
    paths = [put(clip, tmp_path / "v" / name) for name in ("a.mpg", "b.mpg")]
    for path in paths:
        path.write_bytes(b"no video at all")
    with pytest.raises(AnnotateError):
        run(project, tmp_path / "v")
    for path in paths:
        assert str(path) in explain(project, str(path)).detail


TIERS = '"ooTextFile"\n"TextGrid"\n0\n3\n<exists>\n2\n' + "".join(
    f'"IntervalTier"\n"{name}"\n0\n3\n1\n0.7\n2.4\n"{text}"\n'
    for name, text in (("text", "bin blue"), ("translation", "leg blau hin"))
)


def test_the_tier_and_the_encoding_that_somebody_names_are_taken_and_the_video_is_cut_again(
    project: Project, tmp_path: Path, clip: Path
) -> None:
    video = put(clip, tmp_path / "v" / "talk.mpg", TextGrid=TIERS)
    run(project, video)
    assert spoken(project, video) == ["bin blue"]
    assert (
        "tier read: 'text', left out: 'translation' (--tier names others)" in explain(project, "talk").detail
    )
    named = project.overruled("ingest", transcript_tiers=("trans*",))
    assert run(named, video).new == 1
    assert spoken(project, video) == ["leg blau hin"]
    missing = project.overruled("ingest", transcript_tiers=("tx",))
    with pytest.raises(AnnotateError, match="no tier is called 'tx'; its tiers are 'text', 'translation'"):
        run(missing, video)
    with pytest.raises(UsageError, match="'cp-one' is not a known encoding"):
        run(project.overruled("ingest", transcript_encoding="cp-one"), video)


def test_of_all_files_that_whisper_writes_the_json_is_taken_and_the_others_are_named(tmp_path: Path) -> None:
    segments = [{"id": 0, "start": 0.0, "end": 2.0, "text": " so"}]
    (tmp_path / "talk.mp4").touch()
    contents = {
        "json": json.dumps({"text": " so " * 30_000, "segments": segments, "language": "en"}),
        "tsv": "start\tend\ttext\n0\t2000\tso\n", "txt": "so\n", "srt": srt_of("so"),
        "vtt": "WEBVTT\n\n00:00.000 --> 00:02.000\nso\n",
    }  # fmt: skip
    for ending, content in contents.items():
        (tmp_path / f"talk.{ending}").write_text(content)
    found = find_files([tmp_path], excluded=[])
    attach_transcripts(found, find_given(None), "")
    assert [Path(file.sidecar or "").name for file in found.files] == ["talk.json"]
    assert found.warnings == [
        "1 video has more than one transcript: "
        "talk (talk.json is taken, not talk.tsv, talk.vtt, talk.srt or talk.txt)"
    ]


def test_the_same_note_on_many_videos_is_counted_once_with_its_first_place() -> None:
    notes = counted_notes([
        "dropped 1 cue with damaged times (a.srt, line 6); no face seen",
        "dropped 3 cues with damaged times (b.srt, lines 6, 9 and 12)", "no face seen", "",
        "dropped 2 cues without words (b.srt, lines 1 and 2)",
    ])  # fmt: skip
    assert notes == {
        "dropped cues with damaged times (a.srt, line 6 and in 1 more)": 2, "no face seen": 2,
        "dropped 2 cues without words (b.srt, lines 1 and 2)": 1,
    }  # fmt: skip


def test_an_encoding_that_does_not_exist_is_told_before_anything_is_read() -> None:
    with pytest.raises(UsageError) as caught:
        find_given(None, TranscriptOptions(encoding="base64"))
    assert "cp1251" in caught.value.hint
