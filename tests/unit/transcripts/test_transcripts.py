"""Transcripts of every format, odd ones first, checked against independent readers and writers of them."""

import json
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import praatio.textgrid
import pympi
import pysubs2
import pytest
import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from annotate.errors import MediaError
from annotate.transcripts._text import plain
from annotate.transcripts._times import clock
from annotate.transcripts.encoding import decode
from annotate.transcripts.read import read_shared, read_transcript
from annotate.transcripts.usable import lost_rows, usable
from annotate.types import Cue, Transcript, Word

MINUTE = 60_000_000


def read(
    tmp_path: Path, text: str | bytes, duration_us: int = MINUTE, name: str = "a.srt", video: str = ""
) -> Transcript:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return usable(read_transcript(path, Path(video) if video else None), duration_us)


def told(transcript: Transcript) -> list[tuple[float, float, str, str]]:
    return [(c.start_us / 1e6, c.end_us / 1e6, c.text, c.speaker) for c in transcript.cues]


def words(cue: Cue) -> list[tuple[str, float, float, bool]]:
    return [(w.text, w.start_us / 1e6, w.end_us / 1e6, w.guessed) for w in cue.words]


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
    assert told(got) == [(10, 11, "hello", "")]
    assert got.notes == (f"dropped 1 subtitle cue {note} (a.srt, line 2)",)


def test_a_cue_that_names_the_whole_film_is_no_utterance(tmp_path: Path) -> None:
    title = cue("00:00:00,000", "00:30:00,000", "the film")
    got = read(tmp_path, title + cue("00:00:10,000", "00:00:11,000"), 60 * MINUTE)
    assert told(got) == [(10, 11, "hello", "")]
    assert got.notes == ("dropped 1 subtitle cue longer than 60 s (a.srt, line 2)",)


def test_a_cue_that_overlaps_in_part_starts_when_the_earlier_one_ends(tmp_path: Path) -> None:
    got = read(tmp_path, cue("00:00:02,000", "00:00:04,000", "b") + cue("00:00:01,000", "00:00:03,000", "a"))
    assert told(got) == [(1, 3, "a", ""), (3, 4, "b", "")]


def test_a_cue_within_another_adds_its_words(tmp_path: Path) -> None:
    got = read(tmp_path, cue("00:00:01,000", "00:00:05,000", "a") + cue("00:00:02,000", "00:00:03,000", "b"))
    assert told(got) == [(1, 5, "a b", "")]


def test_a_cue_that_runs_past_the_end_stops_there(tmp_path: Path) -> None:
    got = read(tmp_path, cue("00:00:01,000", "00:00:09,000"), duration_us=5_000_000)
    assert told(got) == [(1, 5, "hello", "")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_every_usual_encoding_and_line_end_is_read(encoding: str, tmp_path: Path) -> None:
    text = cue("00:00:01,000", "00:00:02,000", "très bien").replace("\n", "\r\n")
    assert read(tmp_path, text.encode(encoding)).cues[0].text == "très bien"


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("gb18030", "你好，世界 OK"),
        ("gb18030", "我真的很生气，你为什么不告诉我？"),
        ("big5", "我真的很生氣，你為什麼不告訴我？這樣下去不行的"),
        ("big5", "他說：「今天天氣很好，我們一起去公園散步吧。」"),
    ],
)
def test_chinese_of_old_editors_is_read_and_the_guess_is_told(
    encoding: str, said: str, tmp_path: Path
) -> None:
    text = cue("00:00:01,000", "00:00:02,000", said)
    got = read(tmp_path, text.encode(encoding))
    assert got.cues[0].text == said
    (note,) = got.notes
    assert note.startswith(f"transcript read as {encoding}, which is a guess: --encoding names another")
    assert read(tmp_path, text.encode()).notes == ()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("tre\u0300s", "très"),
        ("a\u200bb \u00ad c\ufeff", "ab c"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("wo\u200crd", "word"),
        ("it\x92s", "it’s"),
        ("<i>so</i>  {\\an8}so\t", "so so"),
        ("I <3 you & 2 < 3 > 1", "I <3 you & 2 < 3 > 1"),
        ("R&amp;D &#39;x&#39; AT&T", "R&D 'x' AT&T"),
    ],
)
def test_text_has_one_form_without_markup(raw: str, said: str) -> None:
    assert plain(raw) == said


def test_the_text_as_written_is_kept(tmp_path: Path) -> None:
    assert (
        read(tmp_path, cue("00:00:01,000", "00:00:02,000", "<i>so</i>\nwhat")).cues[0].raw
        == "<i>so</i>\nwhat"
    )


def test_subtitles_without_numbers_or_blank_lines_are_read(tmp_path: Path) -> None:
    text = (
        "00:01.0 --> 00:02.0\nhello\n2\n00:00:03.000 --> 00:00:04.000\n7\n\n"
        "3\n00:00:05,0 --> 00:00:06,0\nfor\n\n42"
    )
    assert [c.text for c in read(tmp_path, text).cues] == ["hello", "7", "for 42"]


def test_srt_agrees_with_an_independent_writer(tmp_path: Path) -> None:
    from datetime import timedelta

    made = [
        srt.Subtitle(n, timedelta(seconds=n), timedelta(seconds=n + 0.9), f"line {n}\nand {n}")
        for n in range(1, 30)
    ]
    got = read(tmp_path, srt.compose(made))
    assert told(got) == [(n, n + 0.9, f"line {n} and {n}", "") for n in range(1, 30)]
    assert got.origin == "subtitles"


WEBVTT = """WEBVTT - talk
Kind: captions
Language: en

STYLE
::cue(v) { color: red }

NOTE
00:00:00.000 --> 00:00:09.000
not said

intro
00:01.500 --> 00:03.000 align:start position:0%
<v.loud Ann Lee>so &amp; <b>so</b></v>
more

00:00:04.000 --> 00:00:05.000
<v Ann>yes</v> <v Bob>no</v>

00:00:06.000 --> 00:00:08.000
one<00:00:06.500><c> two</c><00:00:07.250><c> three four</c>
"""


def test_webvtt_gives_voices_and_words_and_leaves_notes_and_styles_out(tmp_path: Path) -> None:
    got = read(tmp_path, WEBVTT, name="a.vtt")
    assert told(got) == [
        (1.5, 3, "so & so more", "Ann Lee"), (4, 5, "yes no", ""), (6, 8, "one two three four", "")
    ]  # fmt: skip
    assert got.language == "en"
    first, second, third, fourth = words(got.cues[2])
    assert (first, second) == (("one", 6, 6.5, True), ("two", 6.5, 7.25, True))
    assert third[:2] == ("three", 7.25)
    assert third[2] == fourth[1] < fourth[2] == 8


def test_webvtt_agrees_with_an_independent_reader(tmp_path: Path) -> None:
    got = read(tmp_path, WEBVTT.replace("NOTE\n00:00:00.000 --> 00:00:09.000\n", "NOTE\n"), name="a.vtt")
    theirs = webvtt.read(str(tmp_path / "a.vtt"))
    assert [(c.start_us, c.end_us, c.text) for c in got.cues] == [
        (clock(c.start), clock(c.end), plain(c.text)) for c in theirs
    ]


def test_webvtt_whose_blank_lines_are_not_blank_is_read(tmp_path: Path) -> None:
    text = "WEBVTT\n \n1\n00:01.000 --> 00:02.000\none\n \n2\n00:03.000 --> 00:04.000\ntwo\n"
    assert [c.text for c in read(tmp_path, text, name="a.vtt").cues] == ["one", "two"]


def rolling(lines: list[str]) -> str:
    """As YouTube writes what it heard: each line appears with its times, and again above the next."""
    text = "WEBVTT\nKind: captions\nLanguage: en\n\n"
    for n, line in enumerate(lines):
        before = lines[n - 1] if n else " "
        a, b = n * 2, n * 2 + 2
        first, *rest = line.split()
        stamped = first + "".join(f"<00:00:{a:02}.{300 * (k + 1):03}><c> {w}</c>" for k, w in enumerate(rest))
        text += f"00:00:{a:02}.000 --> 00:00:{b - 1:02}.990 align:start position:0%\n{before}\n{stamped}\n\n"
        text += f"00:00:{b - 1:02}.990 --> 00:00:{b:02}.000 align:start position:0%\n{line}\n \n\n"
    return text


def test_captions_that_roll_are_said_once(tmp_path: Path) -> None:
    lines = ["so this is", "what we do", "all day long", "and night"]
    got = read(tmp_path, rolling(lines), name="a.vtt")
    assert [c.text for c in got.cues] == lines
    assert words(got.cues[0])[:2] == [("so", 0, 0.3, True), ("this", 0.3, 0.6, True)]


def test_somebody_may_say_the_same_twice(tmp_path: Path) -> None:
    text = cue("00:00:01,000", "00:00:02,000", "no") + cue("00:00:02,000", "00:00:03,000", "no")
    assert [c.text for c in read(tmp_path, text).cues] == ["no", "no"]


ASS = r"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,never said
Dialogue: 0,0:00:01.00,0:00:02.50,Default,Ann,0,0,0,,{\i1}well{\i0}, well\Nso, yes
Dialogue: 1,0:00:01.00,0:00:02.50,Default,Ann,0,0,0,,{\i1}well{\i0}, well\Nso, yes
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\p1}m 0 0 l 10 0{\p0}
Dialogue: 0,0:00:04.00,0:00:05.00,Default,,0,0,0,,{\k20}la {\k30}la
Dialogue: 0,0:00:05.00,0:00:06.00,Default,,0,0,0,fx,sparkle
"""


def test_ass_gives_names_and_leaves_drawings_comments_and_effects_out(tmp_path: Path) -> None:
    got = read(tmp_path, ASS, name="a.ass")
    assert told(got) == [(1, 2.5, "well, well so, yes", "Ann"), (4, 5, "la la", "")]
    assert got.notes == ("dropped 1 subtitle cue without words (a.ass, line 13)",)


@pytest.mark.parametrize("kind", ["ass", "ssa"])
def test_ass_agrees_with_an_independent_writer(kind: str, tmp_path: Path) -> None:
    made = pysubs2.SSAFile()
    made.events = [
        pysubs2.SSAEvent(start=n * 1000, end=n * 1000 + 900, text=rf"{{\b1}}a{n}\Nb", name=f"S{n % 2}")
        for n in range(1, 20)
    ]
    got = read(tmp_path, made.to_string(kind), name=f"a.{kind}")
    assert told(got) == [(n, n + 0.9, f"a{n} b", f"S{n % 2}") for n in range(1, 20)]


WHISPERX = {
    "language": "en",
    "segments": [
        {
            "start": 1.0, "end": 4.0, "text": " It was 2020, right? Yes.", "speaker": "SPEAKER_00",
            "words": [
                {"word": "It", "start": 1.0, "end": 1.2, "score": 0.9, "speaker": "SPEAKER_00"},
                {"word": "was", "start": 1.3, "end": 1.5, "score": 0.8, "speaker": "SPEAKER_00"},
                {"word": "2020,"},
                {"word": "right?", "start": 2.5, "end": 2.9, "speaker": "SPEAKER_00"},
                {"word": "Yes.", "start": 3.2, "end": 3.6, "score": 0.7, "speaker": "SPEAKER_01"},
            ],
        },
        {"start": 5.0, "end": 6.0, "text": "no words here"},
        {"start": 7.0, "end": 312.0, "text": "stuck"},
        {"start": None, "end": float("nan"), "text": "lost"},
    ],
    "word_segments": [],
}  # fmt: skip


def test_whisperx_gives_turns_and_words_and_interpolates_those_without_times(tmp_path: Path) -> None:
    got = read(tmp_path, json.dumps(WHISPERX), 400 * 1_000_000, name="a.json")
    assert told(got) == [
        (1, 3.2, "It was 2020, right?", "SPEAKER_00"), (3.2, 4, "Yes.", "SPEAKER_01"),
        (5, 6, "no words here", ""),
    ]  # fmt: skip
    assert words(got.cues[0])[1:4] == [
        ("was", 1.3, 1.5, False), ("2020,", 1.5, 2.5, True), ("right?", 2.5, 2.9, False)
    ]  # fmt: skip
    assert got.notes == (
        "dropped 1 cue longer than 60 s (a.json, segment 3)",
        "dropped 1 cue with damaged times (a.json, segment 4)",
    )  # fmt: skip
    assert (got.origin, got.language) == ("transcript", "en")


def test_words_beside_the_segments_are_given_to_them(tmp_path: Path) -> None:
    content = {
        "language": "chinese", "segments": [{"start": 0, "end": 2, "text": "你好"}],
        "words": [{"word": "你", "start": 0.1, "end": 0.5}, {"word": "好", "start": 0.5, "end": 0.9}],
    }  # fmt: skip
    got = read(tmp_path, json.dumps(content), name="a.json")
    assert words(got.cues[0]) == [("你", 0.1, 0.5, False), ("好", 0.5, 0.9, False)]
    assert got.language == "zh"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.json", '{"title": "x",\n "segments": [{}]}', "no list of `segments`"),
        ("a.json", '{"segments": [\n', "line 2: this is not JSON"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", f'[{{"start": {"1" * 5000}, "end": 2, "text": "a"}}]', "thousands of digits"),
        ("a.eaf", "<ANNOTATION_DOCUMENT><TIER>", "line 1: this is not complete XML"),
        ("a.eaf", "<html/>", "not an ANNOTATION_DOCUMENT"),
        (
            "a.eaf",
            '<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b "c">]>\n<a>&b;</a>',
            "line 2: it holds <!DOCTYPE",
        ),
        ("a.TextGrid", "hello", "line 1: this is not a TextGrid|ends where"),
        (
            "a.TextGrid",
            '"ooTextFile" "TextGrid"\n0 1 <exists>\n1 "IntervalTier" "a" 0 1 2 0',
            "ends where a number",
        ),
        ("a.TextGrid", '"ooTextFile" "TextGrid"\n0 1 <exists>\n1e999', "ends where a text"),
        ("a.TextGrid", '"ooTextFile" "TextGrid"\n0 1 <exists>\n"x"', 'line 3: "x" is where a number'),
        ("a.csv", "name,age\nx,1\n", "line 1: its columns are name, age"),
        ("a.csv", 'start,end,text\n1,2,"open\n', "this is not CSV"),
        ("a.csv", "", "its columns are none"),
        ("a.ass", "[Script Info]\n", r"no section \[Events\]"),
    ],
)
def test_a_file_that_is_not_what_its_name_promises_is_told(
    name: str, content: str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(MediaError, match=why) as caught:
        read(tmp_path, content, name=name)
    assert (caught.value.code, bool(caught.value.hint)) == ("no-cues", True)


EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-01-01" FORMAT="3.0" VERSION="3.0">
 <HEADER TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///a.mp4" MIME_TYPE="video/mp4" TIME_ORIGIN="500"/></HEADER>
 <TIME_ORDER>
  <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1000"/>
  <TIME_SLOT TIME_SLOT_ID="ts3"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="3000"/>
  <TIME_SLOT TIME_SLOT_ID="ts5" TIME_VALUE="3000"/>
 </TIME_ORDER>
 <TIER TIER_ID="A_spch" PARTICIPANT="A" LANG_REF="zho"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1"
   TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts5"><ANNOTATION_VALUE>so what</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
 <TIER TIER_ID="A_parts" PARENT_REF="A_spch">
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3"><ANNOTATION_VALUE>so</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4"><ANNOTATION_VALUE>what</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
 </TIER>
</ANNOTATION_DOCUMENT>
"""  # noqa: E501


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "a.json",
            f'[{{"start": {"1" * 400}, "end": 2, "text": "a"}}, {{"start": 1, "end": 2, "text": "b"}}]',
        ),
        ("a.json", '{"words": 5, "segments": [{"start": 1, "end": 2, "text": "b", "words": 3}]}'),
        ("a.srt", cue("00:00:01,000", "00:00:02,000", f"&#{'1' * 5000}; b")),
        ("a.eaf", EAF.replace('TIME_VALUE="3000"', 'TIME_VALUE="--3"')),
    ],
    ids=["huge-number", "no-list-of-words", "huge-entity", "two-signs"],
)
def test_an_absurd_number_spoils_no_more_than_what_it_belongs_to(
    name: str, content: str, tmp_path: Path
) -> None:
    assert len(read(tmp_path, content, name=name).cues) <= 1


def test_half_a_character_is_replaced_for_nothing_could_store_it(tmp_path: Path) -> None:
    text = '[{"start": 0, "end": 2, "text": "a \\ud800 \\ud83d\\ude00", "speaker": "\\udc00"}]'
    (found,) = read(tmp_path, text, name="a.json").cues
    assert (found.text, found.raw, found.speaker) == ("a \ufffd 😀", "a \ufffd 😀", "\ufffd")


LINE = 200_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.srt", cue("00:00:01,000", "00:00:02,000", "{\\" * LINE)),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n" + "<v a" * LINE),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n<v" + " " * LINE),
        ("a.srt", cue("00:00:01,000", "00:00:02,000", "<" + " " * LINE)),
        ("a.srt", "00:00:01,000" + " " * LINE + "x\n00:00:01,000 --> 00:00:02,000\nso\n"),
        ("a.csv", "start,end,text\n1" + " " * LINE + "x,2,so\n1" + "0" * LINE + "x,2,so\n"),
        ("a.csv", "sep=;" + "\t" * LINE + "x\nstart;end;text\n"),
        ("a.ass", "[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,a,b,0,0,0,," + "{" * LINE),
    ],
    ids=["tags", "voices", "spaces", "opening", "times", "cells", "separator", "braces"],
)
def test_a_line_of_markup_that_never_closes_costs_no_time(name: str, content: str, tmp_path: Path) -> None:
    began = time.process_time()
    with suppress(MediaError):
        read(tmp_path, content, name=name)
    assert time.process_time() - began < 5


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be read") as caught:
        read_transcript(tmp_path / "gone.srt")
    assert caught.value.code == "unreadable"


def test_elan_agrees_with_an_independent_writer(tmp_path: Path) -> None:
    eaf = pympi.Elan.Eaf(author="")
    eaf.remove_tier("default")
    eaf.add_linguistic_type("words", constraints="Time_Subdivision")
    eaf.add_tier("ann", part="Ann Lee")
    eaf.add_tier("bob")
    eaf.add_annotation("ann", 1000, 2000, "hello  there")
    eaf.add_annotation("bob", 1500, 3000, "你好")
    eaf.add_annotation("bob", 4000, 5000, "")
    eaf.add_linguistic_type("note", constraints="Symbolic_Association")
    eaf.add_tier("gloss", ling="note", parent="ann")
    eaf.add_ref_annotation("gloss", "ann", 1500, "a greeting")
    eaf.to_file(str(tmp_path / "made.eaf"))
    got = read(tmp_path, (tmp_path / "made.eaf").read_bytes(), name="a.eaf")
    assert told(got) == [(1, 2, "hello there", "Ann Lee"), (1.5, 3, "你好", "bob")]
    assert got.notes == ("tiers read: 'ann', 'bob', left out: 'gloss' (--tier names others)",)


def test_elan_slots_without_times_are_interpolated_and_flagged(tmp_path: Path) -> None:
    got = read(tmp_path, EAF, name="a.eaf")
    assert told(got) == [(1.5, 3.5, "so what", "A")]
    assert words(got.cues[0]) == [("so", 1.5, 2.5, True), ("what", 2.5, 3.5, True)]
    assert got.language == "zh"


def praat(tmp_path: Path, tiers: dict[str, list[tuple[float, float, str]]], format: str) -> str:
    made = praatio.textgrid.Textgrid()
    for name, entries in tiers.items():
        made.addTier(praatio.textgrid.IntervalTier(name, entries, 0, 20))
    path = tmp_path / "made.TextGrid"
    made.save(str(path), format=format, includeBlankSpaces=True)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("format", ["long_textgrid", "short_textgrid"])
def test_praat_agrees_with_an_independent_writer(format: str, encoding: str, tmp_path: Path) -> None:
    tiers = {
        "utterances": [(1.0, 3.0, 'he said "no" 1 2 ! x'), (5.0, 6.25, "当然")],
        "words": [(1.0, 1.5, "he"), (1.5, 2.0, "said"), (2.0, 2.4, '"no"')],
        "phones": [(1.0, 1.2, "h"), (1.2, 1.5, "i")],
    }
    got = read(tmp_path, praat(tmp_path, tiers, format).encode(encoding), name="a.TextGrid")
    assert told(got) == [(1, 3, 'he said "no" 1 2 ! x', ""), (5, 6.25, "当然", "")]
    assert words(got.cues[0]) == [("he", 1, 1.5, False), ("said", 1.5, 2, False), ('"no"', 2, 2.4, False)]
    assert got.notes == ("tiers read: 'utterances', 'words', left out: 'phones' (--tier names others)",)


def test_praat_words_of_two_speakers_without_utterances_are_grouped_by_their_pauses(tmp_path: Path) -> None:
    tiers = {
        "ann - words": [(1.0, 1.5, "so"), (1.7, 2.0, "what"), (4.0, 4.5, "yes")],
        "ann - phones": [(1.0, 1.5, "s")],
        "bob - words": [(2.0, 2.5, "你"), (2.5, 3.0, "好")],
    }
    got = read(tmp_path, praat(tmp_path, tiers, "long_textgrid"), name="a.TextGrid")
    assert told(got) == [(1, 2, "so what", "ann"), (2, 3, "你好", "bob"), (4, 4.5, "yes", "ann")]


MELD = """Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime
1,"Oh my God, he\x92s lost it.",Phoebe,sadness,negative,0,0,4,7,"00:20:57,256","00:21:00,049"
2,"What?",Monica,surprise,negative,0,1,4,7,"00:21:01,927","00:21:03,261"
"""


@pytest.mark.parametrize("clip", ["dia0_utt0.mp4", "final_videos_testdia0_utt0.mp4"])
def test_the_clip_of_a_meld_row_is_the_utterance_whatever_its_times(clip: str, tmp_path: Path) -> None:
    got = read(tmp_path, MELD, 3_000_000, name="a.csv", video=f"x/{clip}")
    assert told(got) == [(0, 3, "Oh my God, he’s lost it.", "Phoebe")]
    long = read(tmp_path, MELD, 305_000_000, name="a.csv", video=f"x/{clip}")
    assert (long.cues, long.notes) == ((), ("dropped 1 cue longer than 60 s (a.csv, line 2)",))


def test_meld_times_count_where_a_column_names_the_episode(tmp_path: Path) -> None:
    head, *rows = MELD.strip().split("\n")
    text = "\n".join([f"video,{head}", *(f"e7.mp4,{row}" for row in rows)])
    got = read(tmp_path, text, 30 * MINUTE, name="a.csv", video="x/e7.mp4")
    assert [(c.start_us, c.end_us) for c in got.cues] == [
        (1_257_256_000, 1_260_049_000), (1_261_927_000, 1_263_261_000)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("clip_id", "clip", "said"),
    [
        ("0001", "0001", "我不想嫁给李茶"),
        ("1", "0001", "我不想嫁给李茶"),
        ("0", "00000", "好"),
        ("a", "a", "x"),
    ],
)
def test_a_chsims_row_belongs_to_the_clip_in_the_folder_of_its_video(
    clip_id: str, clip: str, said: str, tmp_path: Path
) -> None:
    head = "video_id,clip_id,text,label,label_T,mode"
    text = f"{head}\nvideo_0002,{clip_id},别人,0,0,train\nvideo_0001,{clip_id},{said},-0.6,-1.0,train\n"
    got = read(tmp_path, text, 2_000_000, name="label.csv", video=f"/d/Raw/video_0001/{clip}.mp4")
    assert told(got) == [(0, 2, said, "")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("file", ["talk.mp4", "./sub/talk.mp4", "talk", "sub/talk"])
def test_a_plain_table_serves_many_videos(delimiter: str, file: str, tmp_path: Path) -> None:
    rows = [
        ["file", "Start", "End", "Text", "speaker"], ["other.mp4", "0", "1", "not here", "Bob"],
        [file, "1.5", "2.5", "hello", "Ann"], [file, "00:00:03.000", "0:04", "there", ""],
        [file, "x", "4", "?", ""],
        [file, "1"],
    ]  # fmt: skip
    text = "\n".join(delimiter.join(row) for row in rows)
    (tmp_path / "t.csv").write_text(text)
    table = read_shared(tmp_path / "t.csv")
    found = table.of("/v/sub/talk.mp4", "sub/talk.mp4")
    assert found is not None
    got = usable(found[1], MINUTE)
    assert told(got) == [(1.5, 2.5, "hello", "Ann"), (3, 4, "there", "")]
    assert got.notes == ("dropped 1 cue with damaged times (t.csv, line 5)",)
    assert lost_rows(table) == ("dropped 1 row without all columns (t.csv, line 6)",)
    assert table.of("/v/nobody.mp4") is None


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_decoder(raw: bytes) -> None:
    assert isinstance(decode(raw).text, str)


SAMPLES = {
    "a.srt": cue("00:00:01,000", "00:00:02,000"), "a.vtt": WEBVTT, "a.ass": ASS,
    "a.json": json.dumps(WHISPERX),
    "a.eaf": EAF, "a.csv": MELD,
    "a.TextGrid": '"ooTextFile"\n"TextGrid"\n0\n9\n<exists>\n1\n"IntervalTier"\n"a"\n0\n9\n1\n0\n9\n"hi"\n',
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = SAMPLES[name].encode()
    at = data.draw(st.integers(0, len(raw)))
    damaged = raw[:at] + data.draw(st.binary(max_size=6)) + raw[at + data.draw(st.integers(0, 40)) :]
    try:
        got = read(tmp_path_factory.mktemp("damaged"), damaged, name=name)
    except MediaError as error:
        assert error.code == "no-cues"
        return
    assert all(0 <= c.start_us < c.end_us <= MINUTE and c.text for c in got.cues)
    assert all(0 <= w.start_us <= w.end_us <= MINUTE for c in got.cues for w in c.words)


@given(st.lists(st.tuples(st.integers(-5, 70), st.integers(-5, 70), st.sampled_from("ab")), max_size=20))
def test_whatever_the_times_the_cues_of_a_speaker_are_ordered_disjoint_and_inside(
    times: list[tuple[int, int, str]],
) -> None:
    cues = tuple(Cue(a * 1_000_000, b * 1_000_000, "x", speaker=who) for a, b, who in times)
    got = usable(Transcript(cues, "transcript"), MINUTE)
    assert list(got.cues) == sorted(got.cues, key=lambda c: c.start_us)
    assert all(0 <= c.start_us < c.end_us <= MINUTE for c in got.cues)
    for who in "ab":
        assert all(a.end_us <= b.start_us for a, b in pairwise(c for c in got.cues if c.speaker == who))


def test_a_time_within_a_line_that_is_outside_its_cue_is_interpolated(tmp_path: Path) -> None:
    text = "WEBVTT\n\n00:06.000 --> 00:08.000\none<00:06.500> two<100:00:07.250> three\n"
    (got,) = read(tmp_path, text.encode(), name="a.vtt").cues
    assert [(w.text, w.end_us, w.guessed) for w in got.words][-1] == ("three", 8_000_000, True)
    assert got.words[0] == Word("one", 6_000_000, 6_500_000, guessed=True)


def test_words_end_with_the_video_at_the_latest() -> None:
    cue = Cue(0, 2_000_000, "a b", words=(Word("a", 0, 1_000_000), Word("b", 1_000_000, 90_000_000)))
    (got,) = usable(Transcript((cue,), "transcript"), 60_000_000).cues
    assert (got.end_us, got.words[1].end_us) == (2_000_000, 60_000_000)


def test_a_word_of_more_than_a_minute_is_none() -> None:
    long = Cue(0, 70_000_000, "a b", words=(Word("a", 0, 1), Word("b", 2, 65_000_000)))
    got = usable(Transcript((long,), "transcript"), 80_000_000)
    assert (got.cues, got.notes) == ((), ("dropped 1 cue longer than 60 s",))


def test_a_long_cue_with_words_is_kept_for_it_can_be_divided() -> None:
    long = Cue(0, 70_000_000, "a b", words=(Word("a", 0, 1), Word("b", 2, 3)))
    assert usable(Transcript((long,), "transcript"), 80_000_000).cues == (long,)
