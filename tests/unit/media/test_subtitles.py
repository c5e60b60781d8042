"""Burnt-in subtitles: found when small, faint or Chinese, hidden so that nobody can read them, and read."""

from pathlib import Path

import av
import pytest

from annotate.ingest.prepare import prepare
from annotate.media.audio import decode_audio
from annotate.media.blur import without_onscreen_text
from annotate.media.onscreen_text import LineSearch
from annotate.media.reading import read_subtitles
from annotate.types import CutPlan, SampleMedia, VideoJob
from benchmarks._ingest_lettering import (
    Cost,
    encoded,
    frame_samples,
    is_found,
    shared_letters,
    windows,
    with_line,
)
from tests.support.media_factory import EXAMPLES

FACE = EXAMPLES / "grid_lbax4n.mpg"
ENGLISH, CHINESE = "and so we left the house at nine", "你為什麼不早一點告訴我呢"


@pytest.fixture(scope="module")
def plain() -> list:
    return next(windows(FACE))


@pytest.mark.parametrize(("text", "height", "contrast"), [(ENGLISH, 0.035, 60), (CHINESE, 0.06, 30)])
def test_small_or_faint_lines_break_the_rule_of_the_presets(
    plain: list, text: str, height: float, contrast: int
) -> None:
    assert is_found(frame_samples(encoded(with_line(plain, height, contrast, text)), Cost()))


def test_a_line_that_comes_in_late_is_found(plain: list) -> None:
    late = [*plain[:40], *with_line(plain, 0.06, 100, ENGLISH)[40:]]
    assert any(g.onscreen_text for g in frame_samples(encoded(late), Cost()))


def test_a_clip_without_text_is_searched_once_in_three_seconds_where_nothing_changes(plain: list) -> None:
    search = LineSearch()
    for n in range(4):
        search.add(n, plain[0][..., 1], n * 800_000)
    assert search.lines() == {1: ()}


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_a_hidden_line_cannot_be_read_any_more(plain: list, text: str, tmp_path: Path) -> None:
    clip = encoded(with_line(plain, 0.07, 160, text))
    before, after = tmp_path / "before.mp4", tmp_path / "after.mp4"
    before.write_bytes(clip)
    after.write_bytes(without_onscreen_text(clip, ()))
    assert shared_letters(text, read_subtitles(before)) >= len(text.replace(" ", "")) - 2
    assert read_subtitles(after) == ""


def test_subtitles_become_the_transcript_of_samples_without_one_where_that_is_wanted(
    plain: list, tmp_path: Path
) -> None:
    video = tmp_path / "a.mp4"
    muxed(with_line(plain, 0.07, 160, ENGLISH), video)
    for wanted in (False, True):
        plan = CutPlan(read_subtitles=wanted, hide_subtitles=True)
        (sample,) = prepare(VideoJob(video, "0" * 64, tmp_path / str(wanted), None, plan)).samples
        assert sample.transcript_origin == ("ocr" if wanted else "")
        assert (shared_letters(ENGLISH, sample.segment.text) > 20) is wanted
        assert (sample.measures["transcript"] or 0) == pytest.approx(26 if wanted else 0, abs=2)
        assert read_subtitles(SampleMedia.under(tmp_path / str(wanted), sample.id).silent) == ""


def test_a_transcript_by_people_wins_over_what_is_read(plain: list, tmp_path: Path) -> None:
    video, sidecar = tmp_path / "a.mp4", tmp_path / "a.srt"
    muxed(with_line(plain, 0.07, 160, ENGLISH), video)
    sidecar.write_text("1\n00:00:00,500 --> 00:00:02,500\nlay blue at x four now\n")
    plan = CutPlan(read_subtitles=True)
    (sample,) = prepare(VideoJob(video, "0" * 64, tmp_path / "media", sidecar, plan)).samples
    assert (sample.segment.text, sample.transcript_origin) == ("lay blue at x four now", "subtitles")


def muxed(pictures: list, path: Path) -> None:
    """The pictures with the voice of the clip they come from."""
    from fractions import Fraction

    from annotate.media.clip import ClipEncoder

    height, width = pictures[0].shape[:2]
    encoder = ClipEncoder(Fraction(25), (width, height), (16_000, 1))
    for picture in pictures:
        encoder.add_frame(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p"))
    path.write_bytes(encoder.finish(decode_audio(FACE).wave[None, :48_000])[0])
