"""Reads tables of utterances (CSV): one row each, for one video or for many.

Three kinds are told by their columns:

- MELD: `Utterance`, `Dialogue_ID`, `Utterance_ID`, `Speaker`; the clip ``dia3_utt7`` is the utterance.
  Its times belong to an episode: they count only where a column `video` or `file` names that episode's file.
- CH-SIMS and MOSI: `video_id`, `clip_id`, `text`; the clip ``<video_id>/<clip_id>`` is the utterance.
- any other with `start`, `end`, `text`, and perhaps `speaker` and `file`.

Sources: Poria et al., MELD, ACL 2019; Yu et al., CH-SIMS, ACL 2020.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from annotate.transcripts._text import Malformed, plain
from annotate.transcripts._times import clock
from annotate.types import Cue, Transcript

WHOLE_US = 1 << 53
"""The end of a row that is a whole clip: cut back to the length of the video."""

_SAME = {
    "text": ("text", "utterance", "transcript", "transcription", "sentence"),
    "start": ("start", "starttime", "start_time", "begin", "onset"),
    "end": ("end", "endtime", "end_time", "offset"),
    "speaker": ("speaker",),
    "file": ("file", "video", "filename", "path"),
    "dialogue": ("dialogue_id",),
    "utterance": ("utterance_id",),
    "video_id": ("video_id",),
    "clip_id": ("clip_id",),
}
_CLIPS = (("dialogue", "utterance"), ("video_id", "clip_id"))
"""What names a clip that is one utterance."""
_CLIP = re.compile(r"(dia\d+_utt\d+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Table:
    """What a table says, by the video that it says it of."""

    rows: Mapping[str, tuple[Cue, ...]] = field(default_factory=dict)
    """By key, see `keys`; the empty one holds rows that name no video."""
    notes: tuple[str, ...] = ()

    @property
    def shared(self) -> bool:
        """Whether its rows name the videos that they belong to."""
        return bool(self.rows.keys() - {""})

    def of(self, path: str, relative: str = "") -> tuple[str, Transcript] | None:
        """The key and the rows of the video at `path`, or None when no row names it."""
        found = next((key for key in keys(path, relative) if key in self.rows), None)
        if found is None:
            return None
        return found, Transcript(self.rows[found], "transcript", notes=self.notes)


def keys(path: str, relative: str = "") -> Iterator[str]:
    """What rows may call the video at `path`, the most exact first.

    `relative` is its path below the folder that was named.
    """
    for name in filter(None, (relative, path)):
        whole = PurePath(_same(name))
        yield str(whole)
        yield str(whole.with_suffix(""))
    video = PurePath(_same(path))
    yield _clip_key(video.parent.name, video.stem)
    yield video.name
    yield video.stem
    if match := _CLIP.search(video.stem):
        yield match[1].lower()


def read_table(text: str) -> Table:
    """Every row that has a text, in file order.

    Raises `Malformed` when the columns are those of no kind that is known, or quotes do not close.
    """
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        columns = _columns(next(reader, []))
        rows: dict[str, list[Cue]] = {}
        short: list[int] = []
        for row in reader:
            values = {name: row[at].strip() for name, at in columns.items() if at < len(row)}
            if len(values) == len(columns):
                rows.setdefault(_key(values), []).append(_cue(values))
            elif any(row):
                short.append(reader.line_num)
    except csv.Error as error:
        raise Malformed(f"this is no CSV: {error}", reader.line_num) from error
    lines = f"left out rows without all columns: {len(short)}, the first in line {short[0]}" if short else ""
    return Table({key: tuple(cues) for key, cues in rows.items()}, (lines,) if lines else ())


def _columns(header: Sequence[str]) -> dict[str, int]:
    """By our name: which column."""
    named = {name.strip().strip("\ufeff").lower(): at for at, name in reversed(list(enumerate(header)))}
    found = {
        ours: at
        for ours, theirs in _SAME.items()
        if (at := next((named[t] for t in theirs if t in named), None)) is not None
    }
    if "video_id" in found and "clip_id" not in found:
        found.setdefault("file", found.pop("video_id"))
    timed = {"start", "end"} <= found.keys()
    clips = any(set(pair) <= found.keys() for pair in _CLIPS)
    if "text" not in found or not (timed or clips):
        shown = ", ".join(header) or "none"
        raise Malformed(
            f"its columns are {shown}; it needs start, end and text, or those of MELD or CH-SIMS", 1
        )
    by_file = timed and "file" in found
    unused = {name for pair in _CLIPS for name in pair} if by_file or not clips else {"start", "end", "file"}
    return {name: at for name, at in found.items() if name not in unused}


def _key(values: Mapping[str, str]) -> str:
    if "dialogue" in values and "utterance" in values:
        return f"dia{values['dialogue']}_utt{values['utterance']}".lower()
    if "video_id" in values and "clip_id" in values:
        return _clip_key(_same(values["video_id"]), _same(values["clip_id"]))
    return _same(values.get("file", "").removeprefix("./"))


def _clip_key(video: str, clip: str) -> str:
    """``video_0001/1`` for the clips ``0001`` and ``1``: spreadsheets eat zeros."""
    return f"{video}/{clip.lstrip('0') or '0' if clip.isdecimal() else clip}"


def _cue(values: Mapping[str, str]) -> Cue:
    raw, speaker = values["text"], plain(values.get("speaker", ""))
    if "start" not in values:
        return Cue(0, WHOLE_US, plain(raw), raw, speaker)
    start, end = clock(values["start"]), clock(values["end"])
    # What has no times ends before it starts, and is counted with those that do.
    known = start is not None and end is not None
    return Cue(start or 0, (end or 0) if known else 0, plain(raw), raw, speaker)


def _same(name: str) -> str:
    """The same text for composed and decomposed accents: file systems differ there."""
    return unicodedata.normalize("NFC", name)
