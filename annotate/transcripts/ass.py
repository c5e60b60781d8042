"""Reads Advanced SubStation Alpha subtitles (.ass, .ssa): the Name field is the speaker.

Styles, override tags, drawings, comments and the lines of karaoke templates are left out.
Format: http://www.tcax.org/docs/ass-specs.htm
"""

import re
from collections.abc import Iterator

from annotate.transcripts._captions import DAMAGED
from annotate.transcripts._text import Malformed, plain
from annotate.transcripts._times import clock
from annotate.types import Cue, Dropped, Transcript

_FIELDS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text")
_OVERRIDE = re.compile(r"\{([^{}]*)\}")
_DRAWING = re.compile(r"\\p(\d+)")
_MADE = ("fx", "karaoke")


def read(text: str) -> Transcript:
    """Every line of dialogue in file order with its times as written; lines in several layers only once.

    Raises `Malformed` for a file without a section [Events].
    """
    lines = list(_lines(text))
    cues = dict.fromkeys(line for line in lines if isinstance(line, Cue))
    dropped = tuple(line for line in lines if isinstance(line, Dropped))
    return Transcript(tuple(cues), "subtitles", dropped=dropped)


def _lines(text: str) -> Iterator[Cue | Dropped]:
    fields: tuple[str, ...] = _FIELDS
    section = ""
    sections = set()
    for number, line in enumerate(text.split("\n"), 1):
        kind, _, rest = line.strip().partition(":")
        if kind.startswith("[") and kind.endswith("]"):
            section = kind.lower()
            sections.add(section)
        elif section == "[events]" and kind.lower() == "format":
            fields = tuple(name.strip().lower() for name in rest.split(","))
        elif section == "[events]" and kind.lower() == "dialogue":
            row = dict(zip(fields, rest.split(",", len(fields) - 1), strict=False))
            if not row.get("effect", "").strip().lower().startswith(_MADE):
                yield _cue(row, f"line {number}")
    if "[events]" not in sections:
        raise Malformed("there is no section [Events]", 1)


def _cue(row: dict[str, str], where: str) -> Cue | Dropped:
    start, end = (clock(row.get(name, ""), hundredths=True) for name in ("start", "end"))
    if start is None or end is None or "text" not in row:
        return Dropped(DAMAGED, where)
    raw = row["text"]
    speaker = plain(row.get("name", row.get("actor", "")))
    return Cue(start, end, plain(_without_drawings(raw)), raw, speaker, where=where)


def _without_drawings(raw: str) -> str:
    """The text outside of drawing mode (``\\p1`` to ``\\p0``), with line breaks as spaces."""
    pieces, mode = [], 0
    first, *rest = _OVERRIDE.split(raw)
    for tags, piece in [("", first), *zip(rest[::2], rest[1::2], strict=True)]:
        mode = next((int(n) for n in reversed(_DRAWING.findall(tags))), mode)
        pieces.append("" if mode else piece)
    return re.sub(r"\\[Nnh]", " ", "".join(pieces))
