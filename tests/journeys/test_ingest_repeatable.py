"""Ingest gives the same rows and the same bytes however the work was shared out, and in whatever order."""

import shutil
from pathlib import Path

from benchmarks.ingest_kills import snapshot
from db import models
from tests.conftest import MakeProject, RunAnnotate
from tests.journeys.test_ingest import _plain
from tests.support.media_factory import make_video

VOICES = "WEBVTT\n\n00:00.200 --> 00:01.400\n<v Ann>one two\n\n00:01.500 --> 00:02.800\n<v Bob>three four\n"
TURNS = "1\n00:00:00,100 --> 00:00:02,900\none\n\n2\n00:00:03,100 --> 00:00:05,900\ntwo\n"


def footage(folder: Path, example_videos: Path) -> list[Path]:
    """Videos with subtitles, with names, with nothing, a copy in another encoding, and one that is broken."""
    folder.mkdir()
    for name in ("grid_bbaf2n", "grid_lbax4n"):
        for suffix in (".mpg", ".srt"):
            shutil.copy2(example_videos / f"{name}{suffix}", folder)
    make_video(folder / "by-ear.mp4", seconds=6, size=(128, 96))
    make_video(folder / "again.mkv", seconds=6)
    (folder / "again.srt").write_text(TURNS)
    make_video(folder / "voices.mp4", seconds=3)
    (folder / "voices.vtt").write_text(VOICES)
    (folder / "broken.mp4").write_text("no video at all")
    return sorted(path for path in folder.iterdir() if path.suffix in (".mpg", ".mp4", ".mkv"))


def test_neither_workers_nor_order_nor_hash_seeds_change_a_row_or_a_byte(
    make_project: MakeProject, annotate_process: RunAnnotate, tmp_path: Path, example_videos: Path
) -> None:
    videos = footage(tmp_path / "videos", example_videos)
    made = []
    for name, workers, order in (("one", "1", videos), ("two", "2", videos[::-1])):
        project = make_project(name=name, checks=True)
        done = annotate_process(
            "ingest", *order, "--workers", workers, cwd=project.root,
            PYTHONHASHSEED=str(len(made)),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        rows = snapshot(project.root)
        rows |= {m.__tablename__: _plain(project, m) for m in (models.DuplicateKey, models.AudioDuplicate)}
        made.append(rows)
    one, two = made
    for table in one:
        assert one[table] == two[table], table
        # Units are only there while a run lasts.
        assert bool(one[table]) is (table != "unit"), table
    origins = {(row["speaker"], row["speaker_origin"]) for row in _plain(project, models.Sample)}
    assert {("Ann", "transcript"), ("Bob", "transcript")} <= origins
    assert all(row["sound_print"] for row in _plain(project, models.Sample))
