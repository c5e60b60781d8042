"""Reads Advanced SubStation Alpha subtitles (.ass, .ssa): the Name field is the speaker.

Styles, override tags, drawings, comments and the lines of karaoke templates are left out.
Format: http://www.tcax.org/docs/ass-specs.htm
"""

import re

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
    cues: dict[Cue, None] = {}  # a set that keeps the order of the file
    dropped: list[Dropped] = []
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
            if row.get("effect", "").strip().lower().startswith(_MADE):
                continue
            start, end = (clock(row.get(name, ""), hundredths=True) for name in ("start", "end"))
            if start is None or end is None or "text" not in row:
                dropped.append(Dropped(DAMAGED, f"line {number}"))
                continue
            raw, speaker = row["text"], plain(row.get("name", row.get("actor", "")))
            spoken = plain(_without_drawings(raw))
            cues[Cue(start, end, spoken, raw, speaker, where=f"line {number}")] = None
    if "[events]" not in sections:
        raise Malformed("there is no section [Events]", 1)
    return Transcript(tuple(cues), "subtitles", dropped=tuple(dropped))


def _without_drawings(raw: str) -> str:
    """The text outside of drawing mode (``\\p1`` to ``\\p0``), with line breaks as spaces."""
    pieces, mode = [], 0
    first, *rest = _OVERRIDE.split(raw)
    for tags, piece in [("", first), *zip(rest[::2], rest[1::2], strict=True)]:
        mode = next((int(n) for n in reversed(_DRAWING.findall(tags))), mode)
        pieces.append("" if mode else piece)
    return re.sub(r"\\[Nnh]", " ", "".join(pieces))
