"""Shared by the readers of SubRip and WebVTT: parses timing lines, removes repeats of rolling captions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from annotate.transcripts._text import plain
from annotate.transcripts._times import clock

_ROLL_GAP_US = 100_000

DAMAGED = "with damaged times"
UNTIMED = "without a line of times"

_TIME = r"[-\u2212+]?\d+(?:\s*[:：.,;]\s*\d+)*"
_ARROW = r"(?:[-\u2013\u2014=]\s?){1,3}>|\u2192"
_TIMES = re.compile(
    # Some programs write the cue number in front, and some append settings such as `line:40%`.
    rf"\s*(?:\d+\s+)?({_TIME})\s*({_ARROW})\s*({_TIME})(?:\s.*|[A-Za-z][A-Za-z0-9]*:.*)?"
)
_CLOCK = r"\d{1,4}:\d{1,2}:\d{1,2}[.,]\d{1,3}"
_PAIR = re.compile(rf"\s*({_CLOCK})(?:\s+|\s*[-\u2013\u2014,;|/]+\s*)({_CLOCK})\s*")
"""Two complete times without an arrow between them."""
_LONG_ARROW = re.compile(r"-\s?-\s?>|[\u2013\u2014]>|\u2192")
_ONLY_TIMES = re.compile(r"[\s\d:：.,;xXoOlI?*_|/\\<>=\u2013\u2014\u2212+-]+")
_FULL_CLOCK = re.compile(r"(?<![<\d])\d{1,4}:\d{1,2}:\d")
_NARROW = str.maketrans("：，．；＞－０１２３４５６７８９", ":,.;>-0123456789")
"""Full-width characters that some editors write, and their ASCII equivalents."""
_UNREADABLE_US = 50_000
"""Captions shown for at most this time only hold the previous line between two steps of a roll."""
_MARKED = re.compile(r"<[A-Za-z][^<>]*>[^<>]*</[^<>]*>")
_LONGEST_TIME = 40
"""Maximum length of one side of a damaged timing line."""


@dataclass(frozen=True, slots=True)
class Caption:
    """Lines of text that are on the screen at the same time."""

    start_us: int
    end_us: int
    lines: tuple[str, ...]
    """As written in the file."""
    where: str = ""
    """Position of its timing line, as in `Cue`."""


def times(line: str) -> tuple[int, int] | None:
    """Both ends of a line such as ``00:00:01,000 --> 00:00:02,500``, or None."""
    line = line.translate(_NARROW)
    if match := _TIMES.fullmatch(line):
        first, arrow, last = match.groups()
        if _LONG_ARROW.fullmatch(arrow.strip()) is None and not (":" in first and ":" in last):
            return None
    elif match := _PAIR.fullmatch(line):
        first, last = match.groups()
    else:
        return None
    start, end = clock(first), clock(last)
    return None if start is None or end is None else (start, end)


def damaged_times(line: str, *, opens: bool) -> bool:
    """Whether a line that `times` cannot read was meant as a timing line.

    `opens`: whether it is the first line of a cue, below a blank line or a number.
    """
    line = line.translate(_NARROW)
    if opens and len(_FULL_CLOCK.findall(line)) > 1:
        return True
    if arrow := _LONG_ARROW.search(line):
        sides = [line[: arrow.start()].strip(), line[arrow.end() :].strip()]
        if any(":" in side and _digits(side) >= 2 for side in sides if len(side) <= _LONGEST_TIME):
            return True
        return opens and all(side and side[0].isdigit() for side in sides)
    return opens and bool(_ONLY_TIMES.fullmatch(line)) and line.count(":") >= 2 and _digits(line) >= 4


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


def once(captions: Sequence[Caption]) -> list[Caption]:
    """Captions without the repeated lines of captions that roll, or highlight one word after the other."""
    merged = _without_highlights(captions)
    ordered = sorted(merged, key=lambda c: (c.start_us, c.end_us))
    # Only where the whole file is made like this: people may say the same thing twice.
    if not _rolls(ordered):
        return merged
    new: list[Caption] = []
    before: Caption | None = None
    for caption in ordered:
        spoken = [line for line in caption.lines if plain(line)]
        if not spoken:
            continue
        known = _repeated(before.lines, spoken) if before and _follows(before, caption) else 0
        before = caption
        if spoken[known:]:
            new.append(replace(caption, lines=tuple(spoken[known:])))
    return new


def _without_highlights(captions: Sequence[Caption]) -> list[Caption]:
    """Merge captions that repeat one line with one word after the other highlighted, as Whisper can write."""
    ordered = sorted(captions, key=lambda c: (c.start_us, c.end_us))
    lines: list[tuple[Caption, str, int | None]] = []
    """Each caption with its text, and the number of characters in front of the highlighted part, if any."""
    for caption in ordered:
        raw = " ".join(caption.lines)
        mark = _MARKED.search(raw)
        lines.append(
            (caption, " ".join(_spoken(caption.lines)), len(plain(raw[: mark.start()])) if mark else None)
        )
    if not any(
        text == next_text and first is not None and second is not None and first < second
        for (_, text, first), (_, next_text, second) in pairwise(lines)
    ):
        return list(captions)
    kept: list[Caption] = []
    before, reached = "", None
    for caption, text, at in lines:
        last = kept[-1] if kept else caption
        moves = at != reached and (at is None or reached is None or at > reached)
        if kept and text == before and moves and caption.start_us <= last.end_us + _ROLL_GAP_US:
            kept[-1] = replace(last, end_us=max(last.end_us, caption.end_us))
            reached = reached if at is None else at
        else:
            kept.append(caption)
            before, reached = text, at
    return kept


def _rolls(captions: Sequence[Caption]) -> bool:
    """Whether captions roll, as YouTube's do: each begins with the last lines of the one before.

    At least three, and more than a third of them, must follow immediately and repeat. One is enough if it is
    shown too briefly to be read.
    """
    captions_with_text = [c for c in captions if _spoken(c.lines)]
    repeats = [b for a, b in pairwise(captions_with_text) if _follows(a, b) and _repeated(a.lines, b.lines)]
    if any(caption.end_us - caption.start_us <= _UNREADABLE_US for caption in repeats):
        return True
    return len(repeats) >= 3 and len(repeats) > len(captions_with_text) / 3


def _follows(before: Caption, after: Caption) -> bool:
    return before.start_us < after.start_us <= before.end_us + _ROLL_GAP_US


def _spoken(lines: Sequence[str]) -> list[str]:
    return [text for text in map(plain, lines) if text]


def _repeated(before: Sequence[str], after: Sequence[str]) -> int:
    """How many text lines at the start of `after` equal those at the end of `before`."""
    old, new = _spoken(before), _spoken(after)
    return next((n for n in range(min(len(old), len(new)), 0, -1) if old[-n:] == new[:n]), 0)
