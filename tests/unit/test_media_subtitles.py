"""Subtitle files, odd ones first."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.errors import MediaError
from annotate.media.subtitles import Subtitles, decode, read_subtitles
from annotate.types import Segment

MINUTE = 60_000_000


def read(tmp_path: Path, text: str | bytes, duration_us: int = MINUTE) -> Subtitles:
    path = tmp_path / "a.srt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_subtitles(path, duration_us)


def cue(start: str, end: str, text: str = "hello") -> str:
    return f"1\n{start} --> {end}\n{text}\n\n"


@pytest.mark.parametrize(
    ("start", "end", "text", "note"),
    [
        ("-00:00:01,000", "00:00:02,000", "hello", "with a negative time"),
        ("00:00:03,000", "00:00:02,000", "hello", "that ends before it starts"),
        ("00:00:02,000", "00:00:02,000", "hello", "that ends before it starts"),
        ("00:01:00,000", "00:01:02,000", "hello", "beyond the end of the video"),
        ("00:00:01,000", "00:00:01,200", "hello", "shorter than 0.3 s"),
        ("00:00:01,000", "00:00:02,000", "<i> </i>", "without words"),
    ],
)
def test_impossible_cues_are_dropped_and_counted(
    start: str, end: str, text: str, note: str, tmp_path: Path
) -> None:
    got = read(tmp_path, cue(start, end, text) + cue("00:00:10,000", "00:00:11,000"))
    assert got.segments == (Segment(10_000_000, 11_000_000),)
    assert got.notes == (f"dropped 1 subtitle cue {note}",)


def test_a_cue_that_names_the_whole_film_is_no_utterance(tmp_path: Path) -> None:
    title = cue("00:00:00,000", "00:30:00,000", "the film")
    got = read(tmp_path, title + cue("00:00:10,000", "00:00:11,000"), 60 * MINUTE)
    assert got.segments == (Segment(10_000_000, 11_000_000, "hello"),)
    assert got.notes == ("dropped 1 subtitle cue longer than 60 s",)


def test_a_cue_that_overlaps_in_part_starts_when_the_earlier_one_ends(tmp_path: Path) -> None:
    got = read(tmp_path, cue("00:00:02,000", "00:00:04,000", "b") + cue("00:00:01,000", "00:00:03,000", "a"))
    assert [(s.start_us, s.end_us, s.text) for s in got.segments] == [
        (1_000_000, 3_000_000, "a"),
        (3_000_000, 4_000_000, "b"),
    ]


def test_a_cue_within_another_adds_its_words(tmp_path: Path) -> None:
    got = read(tmp_path, cue("00:00:01,000", "00:00:05,000", "a") + cue("00:00:02,000", "00:00:03,000", "b"))
    assert [(s.seconds, s.text) for s in got.segments] == [(4.0, "a b")]


def test_a_cue_that_runs_past_the_end_stops_there(tmp_path: Path) -> None:
    got = read(tmp_path, cue("00:00:01,000", "00:00:09,000"), duration_us=5_000_000)
    assert got.segments == (Segment(1_000_000, 5_000_000),)


def test_webvtt_with_header_settings_and_short_clock_is_read(tmp_path: Path) -> None:
    text = (
        "WEBVTT\n\nNOTE nothing\n\nintro\n00:01.500 --> 00:03.000 align:start\n<v Ann>so &amp; so</v>\nmore\n"
    )
    got = read(tmp_path, text)
    assert [(s.start_us, s.end_us, s.text) for s in got.segments] == [(1_500_000, 3_000_000, "so & so more")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_every_usual_encoding_and_line_end_is_read(encoding: str, tmp_path: Path) -> None:
    text = cue("00:00:01,000", "00:00:02,000", "très bien").replace("\n", "\r\n")
    assert read(tmp_path, text.encode(encoding)).segments[0].text == "très bien"


def test_chinese_of_old_editors_is_read_and_the_guess_is_told(tmp_path: Path) -> None:
    text = cue("00:00:01,000", "00:00:02,000", "你好，世界 OK")
    got = read(tmp_path, text.encode("gb18030"))
    assert got.segments[0].text == "你好，世界 OK"
    assert got.notes == ("subtitles read as gb18030; save them as UTF-8 if the words look wrong",)
    assert read(tmp_path, text.encode()).notes == ()


def test_words_come_in_composed_form(tmp_path: Path) -> None:
    assert read(tmp_path, cue("00:00:01,000", "00:00:02,000", "tre\u0300s")).segments[0].text == "très"


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be read"):
        read_subtitles(tmp_path / "gone.srt", MINUTE)


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_decoder(raw: bytes) -> None:
    assert isinstance(decode(raw)[0], str)


@given(st.lists(st.tuples(st.integers(-5, 70), st.integers(-5, 70)), max_size=20))
def test_whatever_the_times_segments_are_ordered_disjoint_and_inside(
    tmp_path_factory: pytest.TempPathFactory, times: list[tuple[int, int]]
) -> None:
    def clock(second: int) -> str:
        return f"{'-' if second < 0 else ''}00:{abs(second) // 60:02d}:{abs(second) % 60:02d},000"

    text = "".join(cue(clock(a), clock(b)) for a, b in times)
    segments = read(tmp_path_factory.mktemp("subtitles"), text).segments
    assert all(0 <= s.start_us < s.end_us <= MINUTE for s in segments)
    assert all(a.end_us <= b.start_us for a, b in pairwise(segments))
