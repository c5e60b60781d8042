"""Unusual and damaged SubRip, WebVTT and SubStation Alpha files: what is legal or common is read."""

from datetime import timedelta
from pathlib import Path

import pysubs2
import pytest
import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from annotate.transcripts._text import plain
from tests.support.transcript_files import cues, read, texts


def srt_of(*blocks: str) -> str:
    return "\n\n".join(blocks) + "\n"


FIRST = "1\n00:00:01,000 --> 00:00:03,000\nfirst one"
THIRD = "3\n00:00:07,000 --> 00:00:09,000\nthird one"


@pytest.mark.parametrize(
    "damaged",
    [
        "2\n00:00:04,0x0 --> 00:00:06,000\nsecond one",
        "2\n00:00:04,000 --> 00:00:0\u00e86,000\nsecond one",
        "2\nO0:0O:O4,OOO --> 00:00:06,000\nsecond one",
        "2\n00:00:04,000 -->\nsecond one",
        "2\n --> 00:00:06,000\nsecond one",
        "2\n00:00:04,000\nsecond one",
        "2\n00:00:04,000 -\nsecond one",
        "2\n4,0x0 --> 6,000\nsecond one",
        "2\n00:00:04,000 bis 00:00:06,000\nsecond one",
        "2.\n00:00:04,000 ~> 00:00:06,000\nsecond one",
        "2\n??:??:04,000 --> 00:00:06,000\nsecond one\n\nand more of it",
        # Two digits after a third colon or semicolon count frames, and the file does not give their rate.
        "2\n00:00:04:12 --> 00:00:06:00\nsecond one",
        "2\n00:00:04;12 --> 00:00:06;00\nsecond one",
    ],
)
def test_a_cue_with_damaged_times_is_dropped_with_its_line_and_its_neighbours_stay(
    damaged: str, tmp_path: Path
) -> None:
    got = read(tmp_path, srt_of(FIRST, damaged, THIRD), "a.srt")
    assert cues(got) == [(1, 3, "first one"), (7, 9, "third one")]
    assert got.notes == ("dropped 1 subtitle cue with damaged times (a.srt, line 6)",)
    got = read(tmp_path, "WEBVTT\n\n" + srt_of(FIRST, damaged.partition("\n\nand")[0], THIRD), "a.vtt")
    assert cues(got) == [(1, 3, "first one"), (7, 9, "third one")]
    assert got.notes == ("dropped 1 subtitle cue with damaged times (a.vtt, line 8)",)


@pytest.mark.parametrize("rest", ["2\n\nsecond one", "2\nsecond one"])
def test_a_cue_without_any_line_of_times_is_dropped_with_its_line(rest: str, tmp_path: Path) -> None:
    got = read(tmp_path, srt_of(FIRST, rest, THIRD), "a.srt")
    assert texts(got) == ["first one", "third one"]
    assert got.notes == ("dropped 1 subtitle cue without a line of times (a.srt, line 5)",)


def test_text_below_an_empty_line_of_webvtt_belongs_to_no_cue_and_is_counted(tmp_path: Path) -> None:
    got = read(tmp_path, "WEBVTT\n\n00:01.000 --> 00:02.000\none\n\ntwo\n", "a.vtt")
    assert texts(got) == ["one"]
    assert got.notes == ("dropped 1 subtitle cue without a line of times (a.vtt, line 6)",)


@pytest.mark.parametrize(
    "times",
    [
        "00:00:04.000 --> 00:00:06.000",
        "0:0:4,0 --> 0:0:6,0",
        "00:00:04:000 --> 00:00:06:000",
        "00:00:04 --> 00:00:06",
        "00:04.000 --> 00:06.000",
        "00:00:04,000-->00:00:06,000",
        "00:00:04,000 -> 00:00:06,000",
        "00:00:04,000 \u2014> 00:00:06,000",
        "00:00:04,000 \u2192 00:00:06,000",
        "00:00:04,000 - -> 00:00:06,000",
        "00: 00: 04, 000 --> 00: 00: 06, 000",
        "00:00:04,000 --> 00:00:06,000 X1:63 X2:223 Y1:43 Y2:58",
        "00:00:04,000 --> 00:00:06,000align:start",
        "00:00:04,000 --> 00:00:06,000line:40%",
        "00:00:04,000,00:00:06,000",
        "00:00:04,000 00:00:06,000",
        "00：00：04，000 --＞ 00：00：06，000",
    ],
)
@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
def test_usual_ways_to_write_a_line_of_times_are_read(times: str, name: str, tmp_path: Path) -> None:
    head = "WEBVTT\n\n" if name == "a.vtt" else ""
    got = read(tmp_path, head + srt_of(FIRST, f"2\n{times}\nsecond one", THIRD), name)
    assert cues(got) == [(1, 3, "first one"), (4, 6, "second one"), (7, 9, "third one")]
    assert got.notes == ()


def test_a_number_of_hours_with_three_digits_is_read(tmp_path: Path) -> None:
    got = read(tmp_path, "1\n100:00:01,000 --> 100:00:03,000\nlate\n", "a.srt", seconds=400_000)
    assert cues(got) == [(360_001, 360_003, "late")]


@pytest.mark.parametrize(
    "between", ["2\n\n2\n", "2\n2\n", "2\n\n", "\n2\n", "2\n\n\n2\n\n", "2.\n", "#2\n"], ids=repr
)
def test_the_number_of_a_cue_is_no_text_wherever_it_stands(between: str, tmp_path: Path) -> None:
    text = f"1\n00:00:01,000 --> 00:00:03,000\ntext1\n\n{between}00:00:04,000 --> 00:00:06,000\ntext2\n"
    assert texts(read(tmp_path, text, "a.srt")) == ["text1", "text2"]


def test_a_number_that_somebody_says_stays(tmp_path: Path) -> None:
    text = srt_of(
        "1\n00:00:01,000 --> 00:00:02,000\n7",
        "2\n00:00:03,000 --> 00:00:04,000\nThe answer is\n\n42",
        "3\n00:00:05,000 --> 00:00:06,000\n10:30:00",
        "4\n00:00:07,000 --> 00:00:08,000\nfrom 3 --> 4 it grows",
    )
    assert texts(read(tmp_path, text, "a.srt")) == [
        "7",
        "The answer is 42",
        "10:30:00",
        "from 3 --> 4 it grows",
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (r"one\Ntwo\nthree\hfour", "one two three four"),
        (r"{\an8}up", "up"),
        ("{y:i}slanted", "slanted"),
        ("a < b and c > d", "a < b and c > d"),
        ("a <b and c> d", "a <b and c> d"),
        ("I <3 you", "I <3 you"),
        ("so <laughs> yes", "so <laughs> yes"),
        ("one<br/>two", "one two"),
        ('<font color="#fff">x</font> <i>y</i> <U>z</U>', "x y z"),
        ("&lt;b&gt; R&amp;D &nbsp;x", "<b> R&D x"),
    ],
)
def test_markup_is_left_out_and_what_is_no_markup_stays(raw: str, said: str, tmp_path: Path) -> None:
    assert texts(read(tmp_path, f"1\n00:00:01,000 --> 00:00:03,000\n{raw}\n", "a.srt")) == [said]


def test_captions_that_roll_while_they_overlap_are_said_once(tmp_path: Path) -> None:
    lines = ["so this is", "what we do", "all day long", "and night", "as well"]
    blocks = [
        f"{n + 1}\n00:00:{2 * n:02},000 --> 00:00:{2 * n + 4:02},000\n"
        + (f"{lines[n - 1]}\n" if n else "") + line
        for n, line in enumerate(lines)
    ]  # fmt: skip
    assert texts(read(tmp_path, srt_of(*blocks), "a.srt")) == lines


def test_of_two_captions_that_roll_the_second_holds_only_what_is_new(tmp_path: Path) -> None:
    steps = [(0, 2390, "so today"), (2390, 2400, "so today"), (2400, 5190, "so today\nsmall birds")]
    blocks = [f"{n}\n{clock(a)} --> {clock(b)}\n{text}" for n, (a, b, text) in enumerate(steps, 1)]
    assert texts(read(tmp_path, srt_of(*blocks), "a.srt")) == ["so today", "small birds"]


def clock(ms: int) -> str:
    return f"00:00:{ms // 1000:02},{ms % 1000:03}"


def highlighted(words: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """What openai-whisper and WhisperX write for one line with ``--highlight_words True``."""
    steps, last = [], words[0][0]
    for n, (start, end, _) in enumerate(words):
        if last != start:
            steps.append((last, start, " ".join(word for *_, word in words)))
        marked = [f"<u>{word}</u>" if n == k else word for k, (*_, word) in enumerate(words)]
        steps.append((start, end, " ".join(marked)))
        last = end
    return steps


@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
def test_a_line_whose_words_are_highlighted_one_by_one_is_one_cue_as_long_as_all(
    name: str, tmp_path: Path
) -> None:
    said = [(0, 400, "so"), (400, 700, "glad"), (900, 900, "you"), (950, 1500, "came")]
    again = [(start + 1500, end + 1500, word) for start, end, word in said]
    steps = highlighted(said) + highlighted(again) + highlighted([(4000, 4400, "me"), (4600, 5000, "too")])
    blocks = [f"{n}\n{clock(a)} --> {clock(b)}\n{text}" for n, (a, b, text) in enumerate(steps, 1)]
    got = read(tmp_path, ("WEBVTT\n\n" if name == "a.vtt" else "") + srt_of(*blocks), name)
    assert cues(got) == [(0, 1.5, "so glad you came"), (1.5, 3, "so glad you came"), (4, 5, "me too")]
    assert got.notes == ()


def test_two_people_who_say_the_same_in_different_markup_are_two_cues(tmp_path: Path) -> None:
    blocks = [
        "1\n00:00:01,000 --> 00:00:02,000\n<i>Yes, sir</i>",
        "2\n00:00:02,000 --> 00:00:03,000\n<b>Yes, sir</b>",
        "3\n00:00:03,000 --> 00:00:04,000\nYes, sir",
    ]
    assert len(cues(read(tmp_path, srt_of(*blocks), "a.srt"))) == 3


ASS = "[Events]\nFormat: Start, End, Text\n"


def test_a_line_of_substation_alpha_with_damaged_times_is_dropped_and_counted(tmp_path: Path) -> None:
    got = read(
        tmp_path, f"{ASS}Dialogue: 0:00:01.00,0:00:0x.00,a\nDialogue: 0:00:03.00,0:00:04.00,b, c\n", "a.ass"
    )
    assert cues(got) == [(3, 4, "b, c")]
    assert got.notes == ("dropped 1 subtitle cue with damaged times (a.ass, line 3)",)


def test_substation_alpha_counts_hundredths_after_a_third_colon(tmp_path: Path) -> None:
    got = read(tmp_path, f"{ASS}Dialogue: 0:00:01:12,0:00:02:50,a\n", "a.ass")
    assert cues(got) == [(1.12, 2.5, "a")]


LINE = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Cn")), min_size=1, max_size=20
).filter(
    lambda line: plain(line) == line != "" and "-->" not in line and "\\" not in line and "&" not in line
)
"""What no format takes for markup."""
SPOKEN = LINE.filter(lambda line: any(map(str.isalpha, line)))
CUES = st.lists(
    st.tuples(st.integers(300, 5000), st.integers(0, 3000), st.lists(SPOKEN, min_size=1, max_size=3)),
    max_size=8,
)


def placed(drawn: list[tuple[int, int, list[str]]]) -> list[tuple[int, int, list[str]]]:
    """Cues one after the other: start and end in milliseconds, lines."""
    at, made = 0, []
    for length, gap, lines in drawn:
        made.append((at + gap, at + gap + length, lines))
        at += gap + length
    return made


def expected(made: list[tuple[int, int, list[str]]]) -> list[tuple[float, float, str]]:
    return [(start / 1000, end / 1000, " ".join(lines)) for start, end, lines in made]


@given(CUES, st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_what_the_library_srt_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, list[str]]], end: str, encoding: str
) -> None:
    made = placed(drawn)
    written = srt.compose(
        srt.Subtitle(n, timedelta(milliseconds=a), timedelta(milliseconds=b), "\n".join(lines))
        for n, (a, b, lines) in enumerate(made, 1)
    )
    got = read(tmp_path_factory.mktemp("s"), written.replace("\n", end).encode(encoding), "a.srt")
    assert cues(got) == expected(made)


@given(CUES)
def test_what_webvtt_py_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, list[str]]]
) -> None:
    made = placed(drawn)
    written = webvtt.WebVTT()
    for a, b, lines in made:
        start, end = (f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms / 1000 % 60:06.3f}" for ms in (a, b))
        written.captions.append(webvtt.Caption(start, end, [line.replace("<", "&lt;") for line in lines]))
    got = read(tmp_path_factory.mktemp("v"), written.content, "a.vtt")
    assert cues(got) == expected(made)


@given(CUES, st.sampled_from(["srt", "ass", "ssa", "vtt"]))
def test_what_pysubs2_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, list[str]]], kind: str
) -> None:
    # SubStation Alpha counts hundredths of a second, and pysubs2 writes what stands in braces as a style.
    made = [
        (a // 10 * 10, b // 10 * 10, [line.translate(str.maketrans("{}<", "()(")) for line in lines])
        for a, b, lines in placed(drawn)
    ]
    file = pysubs2.SSAFile()
    file.events = [pysubs2.SSAEvent(start=a, end=b, text=r"\N".join(lines)) for a, b, lines in made]
    got = read(tmp_path_factory.mktemp("p"), file.to_string(kind), f"a.{kind}")
    assert cues(got) == expected([cue for cue in made if cue[1] - cue[0] >= 300])
