"""Where transcripts are found, which one counts, and what of them is stored, with real footage."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from annotate.errors import UsageError
from annotate.ingest.files import SourceFile, find_files
from annotate.ingest.transcripts import attach_transcripts, find_given
from annotate.project import Project
from annotate.steps.ingest import IngestReport, ingest
from db import models
from db.engine import reading

SAID = "bin blue at f two now"
WORDS = SAID.split()
START, END = 0.76, 2.37
SRT = f"1\n00:00:00,760 --> 00:00:02,370\n<i>{SAID}</i>\n"
STEP = (END - START) / len(WORDS)
TIMED = [(word, START + n * STEP, START + (n + 1) * STEP) for n, word in enumerate(WORDS)]


def intervals(name: str, marks: list[tuple[str, float, float]]) -> str:
    said = "".join(f'{a}\n{b}\n"{text}"\n' for text, a, b in marks)
    return f'"IntervalTier"\n"{name}"\n0\n3\n{len(marks)}\n{said}'


def eaf() -> str:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-01-01" FORMAT="3.0" VERSION="3.0"><HEADER TIME_UNITS="milliseconds"/>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="760"/><TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="2370"/></TIME_ORDER>
<TIER TIER_ID="t" PARTICIPANT="Ann"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="1" TIME_SLOT_REF1="a"
TIME_SLOT_REF2="b"><ANNOTATION_VALUE>{SAID}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
</ANNOTATION_DOCUMENT>"""  # noqa: E501


FORMATS: dict[str, tuple[str, str, str, bool]] = {
    # name -> content, origin, speaker, whether words have times
    "clip.srt": (SRT, "subtitles", "", False),
    "clip.zh.vtt": (f"WEBVTT\n\n00:00.760 --> 00:02.370\n<v Ann>{SAID}</v>\n", "subtitles", "Ann", False),
    "clip.ass": (
        f"[Events]\nDialogue: 0,0:00:00.76,0:00:02.37,Default,Ann,0,0,0,,{{\\i1}}{SAID}\n",
        "subtitles", "Ann", False,
    ),
    "clip.json": (
        json.dumps({"language": "en", "segments": [{
            "start": START, "end": END, "text": f" {SAID}", "speaker": "Ann",
            "words": [{"word": w, "start": a, "end": b} for w, a, b in TIMED],
        }]}), "transcript", "Ann", True,
    ),
    "clip.eaf": (eaf(), "transcript", "Ann", False),
    "clip.TextGrid": (
        '"ooTextFile"\n"TextGrid"\n0\n3\n<exists>\n2\n'
        + intervals("Ann", [(SAID, START, END)]) + intervals("Ann - words", TIMED),
        "transcript", "Ann", True,
    ),
    "clip.csv": (f"start,end,text,speaker\n{START},{END},{SAID},Ann\n", "transcript", "Ann", False),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, example_videos: Path) -> Path:
    (tmp_path / "videos").mkdir()
    shutil.copy2(example_videos / "grid_bbaf2n.mpg", tmp_path / "videos" / "clip.mpg")
    return tmp_path / "videos"


def run(project: Project, *paths: Path, **options: Any) -> IngestReport:
    return ingest(project, paths, workers=1, **options)


def samples(project: Project) -> list[models.Sample]:
    with reading(project.engine) as session:
        return list(session.scalars(select(models.Sample)))


@pytest.mark.parametrize("name", FORMATS)
def test_a_transcript_of_each_format_beside_a_video_is_found_and_stored(
    name: str, project: Project, folder: Path
) -> None:
    content, origin, speaker, with_words = FORMATS[name]
    (folder / name).write_text(content, encoding="utf-8")
    run(project, folder)
    (sample,) = samples(project)
    assert (sample.transcript, sample.transcript_origin) == (SAID, origin)
    assert SAID in sample.transcript_raw
    assert sample.start_us <= 760_000 < 2_370_000 <= sample.end_us
    if speaker:
        assert sample.speaker == speaker
    if with_words:
        assert [word[0] for word in sample.words] == WORDS
        assert not any(word[3] for word in sample.words)


def files(folder: Path, **options: Any) -> tuple[dict[str, SourceFile], list[str]]:
    found = find_files([folder], excluded=[])
    attach_transcripts(found, find_given(options.get("given")), options.get("language", ""))
    return {file.relative: file for file in found.files}, found.warnings


def make(folder: Path, *names: str, content: str = SRT) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def taken(file: SourceFile) -> str:
    return Path(file.sidecar).name if file.sidecar else ""


def test_of_two_transcripts_the_one_that_tells_more_is_taken_and_said(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "a.srt", "a.vtt", "b.mp4", "b.en.srt", "b.zh-Hans.srt", "c.mp4", "c.SRT")
    make(tmp_path, "a.json", content=FORMATS["clip.json"][0])
    make(tmp_path, "c.json", content='{"title": "no transcript"}')
    make(tmp_path, "c.csv", content="name,value\n")
    found, warnings = files(tmp_path, language="zh")
    assert {name: taken(file) for name, file in found.items()} == {
        "a.mp4": "a.json", "b.mp4": "b.zh-Hans.srt", "c.mp4": "c.SRT"
    }  # fmt: skip
    assert warnings == [
        "2 videos have more than one transcript: a (a.json is taken, not a.vtt or a.srt), "
        "b (b.zh-Hans.srt is taken, not b.en.srt)"
    ]


def test_a_name_that_looks_like_a_language_belongs_to_the_video_of_that_name(tmp_path: Path) -> None:
    make(tmp_path, "talk.mp4", "talk.en.mp4", "talk.en.srt", "notes.part.srt")
    found, warnings = files(tmp_path)
    assert {name: taken(file) for name, file in found.items()} == {
        "talk.mp4": "", "talk.en.mp4": "talk.en.srt"
    }  # fmt: skip
    assert warnings == []


def test_a_folder_of_transcripts_wins_by_path_and_then_by_name_and_the_rest_is_told(tmp_path: Path) -> None:
    videos = make(tmp_path / "v", "x/a.mp4", "y/a.mp4", "y/b.mp4", "c.mp4", "b.srt", "y/b.srt", "c.srt")
    given = make(tmp_path / "t", "x/a.srt", "deep/b.srt", "nobody.srt", "readme.txt")
    found, warnings = files(videos, given=given)
    assert {n: f.sidecar and os.path.relpath(f.sidecar, tmp_path) for n, f in found.items()} == {
        "x/a.mp4": "t/x/a.srt", "y/a.mp4": None, "y/b.mp4": "t/deep/b.srt", "c.mp4": "v/c.srt"
    }  # fmt: skip
    assert warnings == ["1 transcript fits no video: nobody.srt"]


def test_a_name_that_fits_two_videos_is_used_for_none(tmp_path: Path) -> None:
    videos = make(tmp_path / "v", "x/a.mp4", "y/a.mp4")
    found, warnings = files(videos, given=make(tmp_path / "t", "a.srt"))
    assert [file.sidecar for file in found.values()] == [None, None]
    assert "1 transcript not used: one fits several videos" in warnings[0]


MELD = "Utterance,Speaker,Dialogue_ID,Utterance_ID,StartTime,EndTime\n"


def test_the_table_of_a_split_serves_the_clips_of_that_split(tmp_path: Path) -> None:
    videos = make(tmp_path / "v", "train_splits/dia0_utt0.mp4", "dev_splits_complete/dia0_utt0.mp4")
    given = make(tmp_path / "t", "train_sent_emo.csv", content=f"{MELD}yes,Ann,0,0,0:01,0:02\n")
    make(given, "dev_sent_emo.csv", content=f"{MELD}no,Bob,0,0,0:01,0:02\ngone,Bob,7,7,0:01,0:02\n")
    found, warnings = files(videos, given=given)
    said = {name: file.transcript.cues[0].text for name, file in found.items() if file.transcript}
    assert said == {"train_splits/dia0_utt0.mp4": "yes", "dev_splits_complete/dia0_utt0.mp4": "no"}
    assert warnings == ["1 transcript fits no video: dev_sent_emo.csv: dia7_utt7"]


@pytest.mark.parametrize(
    ("content", "why"), [(None, "does not exist"), ("name,age\n", "its columns are name, age")]
)
def test_what_is_no_transcript_is_told_before_any_video_is_touched(
    content: str | None, why: str, project: Project, folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    if content is not None:
        table.write_text(content)
    with pytest.raises(UsageError, match=why) as caught:
        run(project, folder, transcripts=table)
    assert caught.value.hint


def test_an_empty_folder_of_transcripts_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no transcript"):
        find_given(tmp_path)


def test_transcripts_behind_a_url_are_told_to_be_copied_first() -> None:
    with pytest.raises(UsageError, match="s3:/bucket/x is not a path on this machine") as caught:
        find_given(Path("s3://bucket/x"))
    assert "copy the transcripts here" in caught.value.hint


def test_a_table_that_changes_cuts_only_the_videos_again_that_it_changed(
    project: Project, tmp_path: Path, example_videos: Path
) -> None:
    videos = tmp_path / "Raw" / "video_0001"
    videos.mkdir(parents=True)
    for number, name in enumerate(("grid_bbaf2n", "grid_lbax4n"), 1):
        shutil.copy2(example_videos / f"{name}.mpg", videos / f"{number:04}.mpg")
    table = tmp_path / "label.csv"
    head = "video_id,clip_id,text,label\nvideo_0001,0001,bin blue,0\n"
    table.write_text(f"{head}video_0001,0002,lay blue,1\n")
    report = run(project, tmp_path / "Raw", transcripts=tmp_path / "label.csv")
    assert (report.new, report.samples) == (2, 2)
    table.write_text(f"{head}video_0001,0002,lay green,1\n")
    report = run(project, tmp_path / "Raw", transcripts=table)
    assert (report.new, report.unchanged) == (1, 1)
    assert sorted(sample.transcript for sample in samples(project)) == ["bin blue", "lay green"]
    assert all(sample.transcript_origin == "transcript" for sample in samples(project))
