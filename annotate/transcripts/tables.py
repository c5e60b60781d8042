"""Reads tables of utterances (CSV) with one utterance per row, for one video or for many.

Four kinds are recognised by their columns:

- MELD: `Utterance`, `Dialogue_ID`, `Utterance_ID`, `Speaker`; the clip ``dia3_utt7`` is the utterance.
  Its times refer to an episode: they count only if a column `video` or `file` names the episode's file.
- CH-SIMS and MOSI: `video_id`, `clip_id`, `text`; the clip ``<video_id>/<clip_id>`` is the utterance.
- `start`, `end` (or `duration`) and `text`, optionally `speaker` and `file`.
- `file` and `text`: the whole file is the utterance.

Sources: Poria et al., MELD, ACL 2019; Yu et al., CH-SIMS, ACL 2020.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from annotate.transcripts._captions import DAMAGED
from annotate.transcripts._text import Malformed, plain
from annotate.transcripts._times import moment
from annotate.types import Cue, Dropped, Transcript

WHOLE_US = 1 << 53
"""End of a row that covers a whole clip; it is later limited to the length of the video."""

_SAME = {
    "text": (
        "text", "utterance", "transcript", "transcription", "sentence", "content", "caption", "subtitle",
    ),
    "start": (
        "start", "starttime", "start time", "begin", "begin time", "begintime", "onset", "from", "tmin",
        "xmin", "time start", "start timestamp",
    ),
    "end": (
        "end", "endtime", "end time", "stop", "stop time", "offset", "to", "tmax", "xmax", "time end",
        "finish", "end timestamp",
    ),
    "duration": ("duration", "dur", "length"),
    "speaker": ("speaker", "speaker id", "speakerid", "participant"),
    "file": (
        "file", "video", "filename", "file name", "path", "file path", "filepath", "video file", "video path",
        "video name", "clip",
    ),
    "dialogue": ("dialogue id",),
    "utterance": ("utterance id",),
    "video_id": ("video id",),
    "clip_id": ("clip id",),
}  # fmt: skip
"""Names of columns in other tables, by ours; in lower case, with spaces for other separators."""
_TIMES = ("start", "end", "duration")
_CLIPS = (("dialogue", "utterance"), ("video_id", "clip_id"))
"""Pairs of columns that name a clip of one utterance."""
_CLIP = re.compile(r"(dia\d+_utt\d+)$", re.IGNORECASE)
_UNIT = re.compile(
    r"(?<=[a-z)])[\s([]+(?:(ms|msecs?|millis|milliseconds?)|s|secs?|seconds?|ss\.msec|hh:mm:ss\.m?s?)[\])]*$"
)
_CAMEL_MS = re.compile(r"(?<=[a-z])Ms$")
_WHISPER = ["start", "end", "text"]
_EXCEL = re.compile(r"\ufeff?\"?sep=(.)\"?;?,?\s*", re.IGNORECASE)
_WHOLE = re.compile(r"\d+(?:\.0+)?")
DELIMITERS = ",;\t|"


def is_whole_clip(cue: Cue) -> bool:
    """Whether a row gives the text of a whole clip, without times."""
    return cue.start_us == 0 and cue.end_us == WHOLE_US


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table by video."""

    rows: Mapping[str, tuple[Cue, ...]] = field(default_factory=dict)
    """Rows by key, see `keys`; rows that name no video have an empty key."""
    notes: tuple[str, ...] = ()
    dropped: Mapping[str, tuple[Dropped, ...]] = field(default_factory=dict)
    """Rows that could not be read, by key."""
    lost: tuple[Dropped, ...] = ()
    """Rows that could not be read and whose key is unknown."""
    whole_numbers: str = ""
    """See `Transcript`."""
    file: str = ""

    @property
    def shared(self) -> bool:
        """Whether its rows name their videos."""
        return bool(self.rows.keys() - {""})

    def of(self, path: str, relative: str = "") -> tuple[str, Transcript] | None:
        """The key and the rows of the video at `path`; None when no row names it."""
        key = next((key for key in keys(path, relative) if key in self.rows), None)
        if key is None:
            return None
        return key, self.transcript(key)

    def transcript(self, key: str) -> Transcript:
        """The rows of `key`."""
        dropped = self.dropped.get(key, ()) + (() if self.shared else self.lost)
        return Transcript(
            self.rows.get(key, ()), "transcript", notes=self.notes, dropped=dropped, file=self.file,
            whole_numbers=self.whole_numbers,
        )  # fmt: skip


def keys(path: str, relative: str = "") -> Iterator[str]:
    """The keys that rows may use for the video at `path`, the most specific first.

    `relative` is its path relative to the folder that the user named.
    """
    for name in filter(None, (relative, path)):
        whole = PurePath(_same(name))
        yield str(whole)
        yield str(whole.with_suffix(""))
    video = PurePath(_same(path))
    yield _clip_key(video.parent.name, video.stem)
    for first in range(1, len(video.parts)):
        ending = PurePath(*video.parts[first:])
        yield str(ending)
        yield str(ending.with_suffix(""))
    if match := _CLIP.search(video.stem):
        yield match[1].lower()


@dataclass(frozen=True, slots=True)
class _Column:
    """Position and unit of a column."""

    at: int
    milliseconds: bool = False


def read_table(text: str) -> Table:
    """Every row with a text in file order; rows that cannot be read are listed with their line.

    Raises `Malformed` for unknown columns and unclosed quotes.
    """
    lines = text.split("\n")
    delimiter, skipped = max(DELIMITERS, key=lines[0].count), 0
    if directive := _EXCEL.fullmatch(lines[0]):  # the line ``sep=;`` of Excel above the header
        delimiter, skipped = directive[1], 1
    header, *rows = _rows(lines[skipped:], delimiter, skipped)
    columns = _columns(header.values)
    cues_of: dict[str, list[Cue]] = {}
    dropped: dict[str, list[Dropped]] = {}
    lost: list[Dropped] = []
    whole = True
    for row in rows:
        if fault := _row_fault(row, columns, len(header.values)):
            lost.append(fault)
            continue
        values = {name: row.values[column.at].strip() for name, column in columns.items()}
        cue, key = _cue(values, columns, f"line {row.line}"), _key(values)
        of_key = cues_of.setdefault(key, [])
        if isinstance(cue, Dropped):
            dropped.setdefault(key, []).append(cue)
        else:
            whole = whole and all(_WHOLE.fullmatch(values[name]) for name in _TIMES if name in values)
            of_key.append(cue)
    cues = {key: tuple(of_key) for key, of_key in cues_of.items()}
    may_be_ms = whole and "start" in columns and not any(c.milliseconds for c in columns.values())
    like_whisper = delimiter == "\t" and [name.strip().lower() for name in header.values] == _WHISPER
    several = sum(len({cue.text for cue in of_key}) > 1 for of_key in cues.values())
    clips = "clip has" if several == 1 else "clips have"
    repeats = several and "start" not in columns
    return Table(
        cues,
        (f"{several} {clips} several rows in the table, which are joined",) if repeats else (),
        {key: tuple(of_key) for key, of_key in dropped.items()},
        tuple(lost),
        ("whisper" if like_whisper else "table") if may_be_ms else "",
    )


@dataclass(frozen=True, slots=True)
class _Row:
    values: Sequence[str]
    line: int
    """The line at which it begins in the file, from 1."""


def _rows(lines: Sequence[str], delimiter: str, skipped: int) -> list[_Row]:
    """The header and every row that is not blank.

    Raises `Malformed` when quotes do not close.
    """
    if delimiter != "\t":
        return _csv_rows(lines, delimiter, skipped)
    # Whisper and others write tabs without quoting; in quoted files, texts may contain line ends and tabs.
    plainly = [
        _Row([_unquoted(value) for value in line.split("\t")], number)
        for number, line in enumerate(lines, skipped + 1)
    ]
    if _even(plainly) and not lines[0].lstrip("\ufeff").startswith('"'):
        return _not_blank(plainly)
    try:
        quoted = _csv_rows(lines, delimiter, skipped)
    except Malformed:
        return _not_blank(plainly)
    return quoted if _even(quoted) else _not_blank(plainly)


def _csv_rows(lines: Sequence[str], delimiter: str, skipped: int) -> list[_Row]:
    reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, strict=True)
    rows, line = [], 1
    try:
        for values in reader:
            rows.append(_Row(values, skipped + line))
            line = reader.line_num + 1
    except csv.Error as error:
        # The line where the row begins, because an unclosed quotation mark includes the lines below it.
        raise Malformed(
            f"this is not CSV: {error} (a quotation mark inside a quoted text is written twice)",
            skipped + line,
        ) from error
    return _not_blank(rows)


def _even(rows: Sequence[_Row]) -> bool:
    """Whether every row that is not blank has as many columns as the header."""
    return {len(row.values) for row in rows if any(map(str.strip, row.values))} <= {len(rows[0].values)}


def _not_blank(rows: Sequence[_Row]) -> list[_Row]:
    first = rows[0] if rows else _Row((), 1)
    return [first, *(row for row in rows[1:] if any(map(str.strip, row.values)))]


def _unquoted(value: str) -> str:
    """A value without its quotes; values count as quoted only if they double their inner quotation marks."""
    inner = value[1:-1]
    if len(value) < 2 or value[0] != '"' or value[-1] != '"' or '"' not in inner:
        return value
    bare = inner.replace('""', "")
    return value if '"' in bare else inner.replace('""', '"')


def _columns(header: Sequence[str]) -> dict[str, _Column]:
    """The columns by our names. Raises `Malformed` when necessary ones are missing."""
    named = {}
    for at, name in reversed(list(enumerate(header))):
        bare, in_camel = _CAMEL_MS.subn("", name.strip().strip("\ufeff").strip())
        bare = re.sub(r"[\s_-]+", " ", bare).strip().lower()
        unit = _UNIT.search(bare)
        milliseconds = bool(in_camel or (unit and unit[1]))
        named[bare[: unit.start()] if unit else bare] = _Column(at, milliseconds)
    columns = {
        ours: column
        for ours, theirs in _SAME.items()
        if (column := next((named[t] for t in theirs if t in named), None)) is not None
    }
    if "video_id" in columns and "clip_id" not in columns:
        columns.setdefault("file", columns.pop("video_id"))
    if "start" not in columns and "duration" in columns and "offset" in named:
        columns["start"] = named["offset"]
        del columns["end"]
    if "start" not in columns or "end" in columns:
        columns.pop("duration", None)
    timed = "start" in columns and ("end" in columns or "duration" in columns)
    clips = any(set(pair) <= columns.keys() for pair in _CLIPS)
    whole = "file" in columns and not {"start", "end"} & columns.keys()
    if "text" not in columns or not (timed or clips or whole):
        shown = ", ".join(header) or "none"
        raise Malformed(
            f"its columns are {shown}; it needs start, end and text, or file and text, "
            "or those of MELD or CH-SIMS",
            1,
        )
    by_clip = clips and not (timed and "file" in columns)
    unused = {*_TIMES, "file"} if by_clip else {name for pair in _CLIPS for name in pair}
    if not timed:
        unused |= set(_TIMES)
    return {name: column for name, column in columns.items() if name not in unused}


def _key(values: Mapping[str, str]) -> str:
    if "dialogue" in values and "utterance" in values:
        return f"dia{values['dialogue']}_utt{values['utterance']}".lower()
    if "video_id" in values and "clip_id" in values:
        return _clip_key(_same(values["video_id"]), _same(values["clip_id"]))
    return _same(values.get("file", "").replace("\\", "/").removeprefix("./"))


def _clip_key(video: str, clip: str) -> str:
    """``video_0001/1`` for the clips ``0001`` and ``1``, because spreadsheets remove leading zeros."""
    return f"{video}/{clip.lstrip('0') or '0' if clip.isdecimal() else clip}"


def _row_fault(row: _Row, columns: Mapping[str, _Column], width: int) -> Dropped | None:
    """Why the values of a row cannot be assigned to columns; None if they can."""
    where = f"line {row.line}"
    if len(row.values) > width and any(map(str.strip, row.values[width:])):
        return Dropped("with more columns than the header (quote a text that holds the separator)", where)
    if len(row.values) <= max(column.at for column in columns.values()):
        return Dropped("without all columns", where)
    return None


def _cue(values: Mapping[str, str], columns: Mapping[str, _Column], where: str) -> Cue | Dropped:
    raw, speaker = values["text"], plain(values.get("speaker", ""))
    if "start" not in values:
        return Cue(0, WHOLE_US, plain(raw), raw, speaker, where=where)
    at: dict[str, int | None] = {}
    for name in _TIMES:
        if name in values:
            us = at[name] = moment(values[name])
            if us is not None and columns[name].milliseconds and ":" not in values[name]:
                at[name] = round(us / 1000)
    start, end = at["start"], at.get("end", at.get("duration"))
    if start is None or end is None:
        return Dropped(DAMAGED, where)
    return Cue(start, end if "end" in at else start + end, plain(raw), raw, speaker, where=where)


def _same(name: str) -> str:
    """The text in composed form (NFC), because file systems differ in how they store accents."""
    return unicodedata.normalize("NFC", name)
