"""Tables as spreadsheets, pandas, numpy and people write them: read, or counted with their line."""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.errors import MediaError
from annotate.transcripts._text import plain
from annotate.transcripts._times import moment
from annotate.transcripts.read import promises, read_shared
from annotate.transcripts.usable import lost_rows
from tests.support.transcript_files import cues, read, texts


@pytest.mark.parametrize(
    ("written", "us"),
    [
        ("0.30000000000000004", 300_000), ("1e-05", 10), ("1E1", 10_000_000), (".5", 500_000),
        ("2.", 2_000_000),
        ("1,5", 1_500_000), ("+3", 3_000_000), ("00:20:57,256", 1_257_256_000), ("1:02.5", 62_500_000),
        ("0 days 00:00:01.500000", 1_500_000), ("0 days", 0), ("1 day, 0:00:01", 86_401_000_000),
        ("-1 days +23:59:59.5", -500_000), ("0:00:01.500000", 1_500_000), ("1500 ms", 1_500_000),
        ("1.5 s", 1_500_000), ("nan", None), ("NaT", None), ("", None), ("1.2.3", None), ("1e999", None),
        ("00:00:01:12", None), ("00:00:01;12", None), ("00:00:01:120", 1_120_000),
    ],
)  # fmt: skip
def test_a_time_is_read_however_it_is_written(written: str, us: int | None) -> None:
    assert moment(written) == us


@given(st.floats(0, 30_000))
def test_a_time_that_numpy_or_pandas_writes_is_read_back(seconds: float) -> None:
    us = round(seconds * 1e6)
    assert moment(str(np.float64(seconds))) == us
    assert moment(repr(seconds)) == us
    assert abs((moment(str(np.float32(seconds))) or 0) - us) <= 2e-7 * us + 1
    assert moment(str(pd.Timedelta(us, "us"))) == us
    assert moment(str(pd.Timedelta(us, "us").to_pytimedelta())) == us


TEXT = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Zs", "Co", "Cn")) | st.just(" "),
    min_size=1, max_size=20,
).filter(lambda text: plain(text) == text)  # fmt: skip
ROWS = st.lists(st.tuples(st.floats(0.5, 4), TEXT), min_size=1, max_size=8)


@given(
    ROWS, st.sampled_from([",", ";", "\t", "|"]), st.sampled_from([".", ","]), st.sampled_from(["", "sep"])
)
def test_what_pandas_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[tuple[float, str]], delimiter: str, decimal: str, first: str,
) -> None:  # fmt: skip
    starts = np.cumsum([0.0, *(length for length, _ in drawn)])
    frame = pd.DataFrame({"Start": starts[:-1], "END": starts[1:], "Text": [text for _, text in drawn]})
    written = frame.to_csv(index=False, sep=delimiter, decimal=decimal)
    got = read(tmp_path_factory.mktemp("t"), (f"sep={delimiter}\n" if first else "") + written, "a.csv")
    assert texts(got) == [text for _, text in drawn]
    assert [cue.start_us for cue in got.cues] == [round(start * 1e6) for start in starts[:-1]]


@given(ROWS)
def test_a_table_with_tabs_and_no_quoting_is_read_literally(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[float, str]]
) -> None:
    lines = [
        "begin\tend\ttranscript",
        *(f"{n * 5}.0\t{n * 5 + 4}.5\t{text}" for n, (_, text) in enumerate(drawn)),
    ]
    got = read(tmp_path_factory.mktemp("t"), "\r\n".join(lines), "a.tsv")
    # A value that only a program that quotes could have written is what that program meant.
    assert [cue.text for cue in got.cues] == [unquoted(text) for _, text in drawn]


def unquoted(text: str) -> str:
    read_as = next(csv.reader(io.StringIO(text), delimiter="\t"))[0]
    return read_as if text.startswith('"') and csv_of(read_as) == text else text


def csv_of(value: str) -> str:
    written = io.StringIO()
    csv.writer(written, delimiter="\t", lineterminator="").writerow([value])
    return written.getvalue()


def test_a_text_that_begins_with_a_quotation_mark_is_read_where_nothing_is_quoted(tmp_path: Path) -> None:
    got = read(tmp_path, 'start\tend\ttext\n1.5\t3.0\t"Hi" she said\n4\t5\t"ok\n', "a.tsv")
    assert texts(got) == ['"Hi" she said', '"ok']


def test_texts_of_several_lines_are_read_where_they_are_quoted(tmp_path: Path) -> None:
    for delimiter in "\t", ",":
        rows = [["start", "end", "text"], ["1.5", "3.0", "one\ntwo"], ["4", "5", 'say "so"']]
        written = io.StringIO()
        csv.writer(written, delimiter=delimiter).writerows(rows)
        assert texts(read(tmp_path, written.getvalue(), "a.csv")) == ["one two", 'say "so"']


@pytest.mark.parametrize(
    ("row", "note"),
    [
        ("1.5,3.0,well, that is it", "with more columns than the header"),
        ("1.5,3.0", "without all columns"),
        ("x,3.0,hello", "with damaged times"),
        ("1.5,NaT,hello", "with damaged times"),
        (",,hello", "with damaged times"),
    ],
)
def test_a_row_that_cannot_be_read_is_counted_with_its_line(row: str, note: str, tmp_path: Path) -> None:
    got = read(tmp_path, f"start,end,text\n{row}\n4,5,yes\n\n6,7,no,,\n", "a.csv")
    assert texts(got) == ["yes", "no"]
    (dropped,) = got.notes
    assert dropped.startswith(f"dropped 1 cue {note}")
    assert dropped.endswith("(a.csv, line 2)")


def test_a_row_of_a_shared_table_that_nobody_can_place_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,start,end,text\na.mp4,1,2,so\na.mp4,3,4,well, then\nb.mp4,x,2,so\n")
    table = read_shared(tmp_path / "t.csv")
    (note,) = lost_rows(table)
    assert note.endswith("(t.csv, line 3)")
    of_b = table.of("/v/b.mp4")
    assert of_b is not None
    assert [dropped.where for dropped in of_b[1].dropped] == ["line 4"]


@pytest.mark.parametrize("rest", ["5,6,more\n7,8,end\n", '5,6,"more"\n7,8,end\n'])
def test_a_quote_that_is_never_closed_is_told_with_the_line_that_opens_it(rest: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"a\.csv, line 3: this is not CSV"):
        read(tmp_path, f'start,end,text\n1,2,so\n3,4,"glad\n{rest}', "a.csv")


def test_quotes_that_do_not_close_are_told_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"line 3: this is not CSV.*written twice"):
        read(tmp_path, 'start,end,text\n1,2,"so"\n3,4,"so" she said\n', "a.csv")


WHISPER_TSV = "start\tend\ttext\n0\t4500\tHello\n4500\t9000\tToday\n9000\t13000\tso\n"


@pytest.mark.parametrize("seconds", [13.2, 60, 14_000, 20_000])
def test_the_milliseconds_of_whisper_are_told_by_the_columns_and_the_length_of_the_video(
    seconds: float, tmp_path: Path
) -> None:
    got = read(tmp_path, WHISPER_TSV, "talk.tsv", seconds=seconds)
    assert cues(got) == [(0, 4.5, "Hello"), (4.5, 9, "Today"), (9, 13, "so")]
    assert got.notes == ("times of the transcript read as milliseconds",)


@pytest.mark.parametrize("seconds", [9.0, 13, 3600])
@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_whole_seconds_stay_seconds(delimiter: str, seconds: float, tmp_path: Path) -> None:
    table = "start\tend\ttext\n0\t4\tHello\n4\t9\tToday\n".replace("\t", delimiter)
    got = read(tmp_path, table, "talk.tsv", seconds=seconds)
    assert (cues(got), got.notes) == ([(0, 4, "Hello"), (4, 9, "Today")], ())


@pytest.mark.parametrize(
    "head",
    [
        "start_ms,end_ms,text",
        "Start (ms),End (ms),Text",
        "startMs,endMs,text",
        "Begin Time - msec,End Time - msec,text",
    ],
)
def test_a_unit_in_the_name_of_a_column_counts(head: str, tmp_path: Path) -> None:
    assert cues(read(tmp_path, f"{head}\n500,1000,so\n1500,2250.5,yes\n", "a.csv")) == [
        (0.5, 1, "so"), (1.5, 2.2505, "yes")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("onset,duration,text", "1.5,2,so"), ("Start Time,End Time,Transcript", "1.5,3.5,so"),
        ("start (s);end (s);text", "1,5;3,5;so"), ("tmin\ttier\ttext\ttmax", "1.5\tx\tso\t3.5"),
        ("begin_time,end_time,sentence", "0:01.5,0:03.5,so"), ("offset,duration,text", "1.5,2,so"),
    ],
)  # fmt: skip
def test_usual_names_of_columns_are_known(head: str, row: str, tmp_path: Path) -> None:
    assert cues(read(tmp_path, f"\ufeff{head}\n{row}\n", "a.csv")) == [(1.5, 3.5, "so")]


@pytest.mark.parametrize("head", ["file,text", "File Name,Transcription", "path,sentence", "video_id,text"])
def test_a_table_of_whole_clips_makes_each_clip_one_utterance(head: str, tmp_path: Path) -> None:
    table = f'{head}\nother.mp4,no\nx/talk.mp4,"so glad, you came"\n'
    got = read(tmp_path, table, "t.csv", video="/v/x/talk.mp4", seconds=3.5)
    assert cues(got) == [(0, 3.5, "so glad, you came")]
    assert promises(tmp_path / "t.csv")


def test_rows_that_say_different_things_of_one_clip_are_noted(tmp_path: Path) -> None:
    got = read(tmp_path, "file,text\na.mp4,so\na.mp4,yes\n", "t.csv", video="a.mp4", seconds=3)
    assert got.notes == ("1 clip has several rows in the table, which are joined",)
