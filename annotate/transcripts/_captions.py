"""What SubRip and WebVTT share: lines of text below a line of times, and captions that roll."""

import re
from collections.abc import Iterator, Sequence
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
    # Some programs put the number in front, and some glue settings such as `line:40%` to the end.
    rf"\s*(?:\d+\s+)?({_TIME})\s*({_ARROW})\s*({_TIME})(?:\s.*|[A-Za-z][A-Za-z0-9]*:.*)?"
)
_CLOCK = r"\d{1,4}:\d{1,2}:\d{1,2}[.,]\d{1,3}"
_PAIR = re.compile(rf"\s*({_CLOCK})(?:\s+|\s*[-\u2013\u2014,;|/]+\s*)({_CLOCK})\s*")
"""Both ends in full, without an arrow."""
_LONG_ARROW = re.compile(r"-\s?-\s?>|[\u2013\u2014]>|\u2192")
_ONLY_TIMES = re.compile(r"[\s\d:：.,;xXoOlI?*_|/\\<>=\u2013\u2014\u2212+-]+")
_FULL_CLOCK = re.compile(r"(?<![<\d])\d{1,4}:\d{1,2}:\d")
_NARROW = str.maketrans("：，．；＞－０１２３４５６７８９", ":,.;>-0123456789")
"""Characters of East Asian width, which some editors put in the place of others."""
_UNREADABLE_US = 50_000
"""Captions that are shown for no longer hold the line of before between two steps of a roll."""
_MARKED = re.compile(r"<[A-Za-z][^<>]*>[^<>]*</[^<>]*>")
_LONGEST_TIME = 40
"""Characters of one side of a damaged line of times."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What is on the screen for a while."""

    start_us: int
    end_us: int
    lines: tuple[str, ...]
    """As written."""
    where: str = ""
    """Of its line of times, as in `Cue`."""


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
    """Whether a line that `times` cannot read was meant as a line of times.

    `opens`: it is the first line of a cue, below a blank line or a number.
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
    """Every line once, where captions repeat it: because they roll, or highlight one word after the other."""
    return _unrolled(_without_highlights(captions))


def _without_highlights(captions: Sequence[Caption]) -> list[Caption]:
    """One caption for each line that is repeated while its words are highlighted, as Whisper can write it."""
    ordered = sorted(captions, key=lambda c: (c.start_us, c.end_us))
    lines = [(caption, " ".join(_spoken(caption.lines)), _marked_at(caption.lines)) for caption in ordered]
    if not any(
        said == same and first is not None and second is not None and first < second
        for (_, said, first), (_, same, second) in pairwise(lines)
    ):
        return list(captions)
    kept: list[Caption] = []
    before, reached = "", None
    for caption, said, at in lines:
        last = kept[-1] if kept else caption
        moves = at != reached and (at is None or reached is None or at > reached)
        if kept and said == before and moves and caption.start_us <= last.end_us + _ROLL_GAP_US:
            kept[-1] = replace(last, end_us=max(last.end_us, caption.end_us))
            reached = reached if at is None else at
        else:
            kept.append(caption)
            before, reached = said, at
    return kept


def _marked_at(lines: Sequence[str]) -> int | None:
    """After how many characters a highlighted part begins; None where there is none."""
    raw = " ".join(lines)
    mark = _MARKED.search(raw)
    return len(plain(raw[: mark.start()])) if mark else None


def _unrolled(captions: Sequence[Caption]) -> list[Caption]:
    """Every line once, where each caption repeats the end of the one before, as those of YouTube do.

    Only where that is how the file is made: somebody may say the same thing twice.
    """
    ordered = sorted(captions, key=lambda c: (c.start_us, c.end_us))
    if not _rolls(ordered):
        return list(captions)
    kept = list(_new_lines(ordered))
    return kept


def _rolls(captions: Sequence[Caption]) -> bool:
    """Whether at least three, and more than a third, follow on at once and repeat what stood last.

    One is enough where nobody could read the caption that repeats.
    """
    told = [c for c in captions if _spoken(c.lines)]
    repeats = [b for a, b in pairwise(told) if _follows(a, b) and _repeated(a.lines, b.lines)]
    if any(caption.end_us - caption.start_us <= _UNREADABLE_US for caption in repeats):
        return True
    return len(repeats) >= 3 and len(repeats) > len(told) / 3


def _follows(before: Caption, after: Caption) -> bool:
    return before.start_us < after.start_us <= before.end_us + _ROLL_GAP_US


def _spoken(lines: Sequence[str]) -> list[str]:
    return [text for text in map(plain, lines) if text]


def _repeated(before: Sequence[str], after: Sequence[str]) -> int:
    """How many spoken lines at the start of `after` are those at the end of `before`."""
    old, new = _spoken(before), _spoken(after)
    return next((n for n in range(min(len(old), len(new)), 0, -1) if old[-n:] == new[:n]), 0)


def _new_lines(captions: Sequence[Caption]) -> Iterator[Caption]:
    before: Caption | None = None
    for caption in captions:
        spoken = [line for line in caption.lines if plain(line)]
        if not spoken:
            continue
        known = _repeated(before.lines, spoken) if before and _follows(before, caption) else 0
        before = caption
        if spoken[known:]:
            yield replace(caption, lines=tuple(spoken[known:]))
