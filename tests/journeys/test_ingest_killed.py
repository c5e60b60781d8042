"""An ingest that is killed at any moment and run again ends where a clean run ends."""

import random
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.ingest_kills import kill_and_compare

ROOT = Path(__file__).parent.parent.parent

STAND_IN = """
import cli
from annotate.ingest import run as _ingest_run
from tests.journeys.test_ingest import stand_in
if __name__ == "__main__":
    _ingest_run.cut = stand_in
    cli.main()
"""


def test_kill_minus_nine_changes_neither_rows_nor_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(12):
        content = "broken" if number == 5 else f"speech {number + 1}"
        (videos / f"v{number}.mp4").write_text(content)
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    result = kill_and_compare(
        videos, tmp_path / "projects", kills=3, rng=random.Random(7), command=(sys.executable, str(script))
    )
    assert result.differences == []
    assert result.equal == 3


@pytest.mark.slow
def test_kill_minus_nine_costs_no_real_video(tmp_path: Path, example_videos: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for path in sorted(example_videos.glob("grid_[bl]*")):
        shutil.copy2(path, videos)
    result = kill_and_compare(videos, tmp_path / "projects", kills=3, rng=random.Random(3))
    assert result.differences == []
    assert result.equal == 3
