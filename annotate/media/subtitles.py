"""Reads subtitle files (SubRip and WebVTT) into segments with text.

Cues may come in any order and overlap. They are sorted; one that lies wholly within its predecessor adds its
text to it, one that overlaps it in part starts when it ends: no word is lost, no moment is in two samples.
"""

import html
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from annotate.media.files import unreadable
from annotate.types import Segment

_CLOCK = r"(-?)(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[,.](\d{1,6}))?"
_TIMES = re.compile(rf"^\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?$")
_UNICODE = ("utf-8-sig", "utf-16")
_TAG = re.compile(r"<[^>]*>|\{\\[^}]*\}")


@dataclass(frozen=True, slots=True)
class Subtitles:
    """What a subtitle file says."""

    segments: tuple[Segment, ...]
    """Ordered, disjoint, each with text."""
    notes: tuple[str, ...]
    """One sentence for each kind of cue that could not be used."""


def read_subtitles(
    path: Path, duration_us: int, min_seconds: float = 0.3, max_seconds: float = 60.0
) -> Subtitles:
    """The cues of a .srt or .vtt file, for a video of `duration_us` microseconds.

    Cues with impossible times, without words, shorter than `min_seconds` or longer than `max_seconds` are
    dropped; the notes count them, and name an encoding that had to be guessed.
    Raises `MediaError` with code ``unreadable`` if the file cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    text, encoding = decode(raw)
    dropped: dict[str, int] = {}
    usable = [c for c in _cues(text) if not _fault(c, duration_us, dropped)]
    clipped = [Segment(c.start_us, min(c.end_us, duration_us), c.text) for c in sorted(usable)]
    spoken = [s for s in clipped if not _long(s, max_seconds, dropped)]
    segments = [s for s in _disjoint(spoken) if not _short(s, min_seconds, dropped)]
    notes = [_note(n, why) for why, n in sorted(dropped.items())]
    if encoding not in _UNICODE:
        notes.append(f"subtitles read as {encoding}; save them as UTF-8 if the words look wrong")
    return Subtitles(tuple(segments), tuple(notes))


def decode(raw: bytes) -> tuple[str, str]:
    """Text of bytes in Unicode's composed form (NFC), and the encoding that it was in."""
    encoding = _encoding(raw)
    text = raw.decode(encoding, errors="replace").replace("\x00", "")
    return unicodedata.normalize("NFC", text), encoding


def _encoding(raw: bytes) -> str:
    """UTF-8 or UTF-16 where the bytes say so, else the Chinese national one, else that of western Europe."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    return next((name for name in ("utf-8-sig", "gb18030") if _fits(raw, name)), "latin-1")


def _fits(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    # An accented letter and its neighbour make a Chinese character too; but Chinese stands in pairs of bytes.
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", raw)]
    return encoding in _UNICODE or sum(n for n in runs if n % 2) < sum(runs) / 2


def _cues(text: str) -> list[Segment]:
    """Every block below a line of times, in file order, times as written."""
    cues = []
    for block in re.split(r"\n\s*\n", "\n".join(text.splitlines())):
        lines = block.split("\n")
        for number, line in enumerate(lines):
            match = _TIMES.match(line)
            if match:
                cues.append(Segment(_us(match, 1), _us(match, 6), _plain(lines[number + 1 :])))
                break
    return cues


def _us(match: re.Match[str], first: int) -> int:
    """Microseconds of the clock whose five groups start at `first`."""
    sign, hours, minutes, seconds, fraction = match.group(*range(first, first + 5))
    whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    us = whole * 1_000_000 + int((fraction or "0").ljust(6, "0"))
    return -us if sign else us


def _plain(lines: list[str]) -> str:
    return " ".join(html.unescape(_TAG.sub("", " ".join(lines))).split())


def _fault(cue: Segment, duration_us: int, dropped: dict[str, int]) -> bool:
    """Whether a cue cannot be used; counts why."""
    if cue.start_us < 0 or cue.end_us < 0:
        why = "with a negative time"
    elif cue.end_us <= cue.start_us:
        why = "that ends before it starts"
    elif cue.start_us >= duration_us:
        why = "beyond the end of the video"
    elif not cue.text:
        why = "without words"
    else:
        return False
    dropped[why] = dropped.get(why, 0) + 1
    return True


def _short(segment: Segment, min_seconds: float, dropped: dict[str, int]) -> bool:
    if segment.seconds >= min_seconds:
        return False
    why = f"shorter than {min_seconds:g} s"
    dropped[why] = dropped.get(why, 0) + 1
    return True


def _long(segment: Segment, max_seconds: float, dropped: dict[str, int]) -> bool:
    if segment.seconds <= max_seconds:
        return False
    why = f"longer than {max_seconds:g} s"
    dropped[why] = dropped.get(why, 0) + 1
    return True


def _disjoint(cues: list[Segment]) -> list[Segment]:
    """Sorted cues without overlap; see the top of this file."""
    kept: list[Segment] = []
    for cue in cues:
        last = kept[-1] if kept else None
        if last is None or cue.start_us >= last.end_us:
            kept.append(cue)
        elif cue.end_us <= last.end_us:
            text = last.text if cue.text == last.text else f"{last.text} {cue.text}"
            kept[-1] = Segment(last.start_us, last.end_us, text)
        else:
            kept.append(Segment(last.end_us, cue.end_us, cue.text))
    return kept


def _note(count: int, why: str) -> str:
    return f"dropped {count} subtitle {'cue' if count == 1 else 'cues'} {why}"
