"""What SubRip and WebVTT share: lines of text below a line of times, and captions that roll."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from annotate.transcripts._text import plain
from annotate.transcripts._times import clock

_ROLL_GAP_US = 100_000

_TIMES = re.compile(r"\s*(-?[\d:.,]+)\s*-->\s*(-?[\d:.,]+)(?:\s.*)?")


@dataclass(frozen=True, slots=True)
class Caption:
    """What is on the screen for a while."""

    start_us: int
    end_us: int
    lines: tuple[str, ...]
    """As written."""


def times(line: str) -> tuple[int, int] | None:
    """Both ends of a line such as ``00:00:01,000 --> 00:00:02,500``, or None."""
    match = _TIMES.fullmatch(line)
    start, end = (clock(match[1]), clock(match[2])) if match else (None, None)
    return None if start is None or end is None else (start, end)


def unrolled(captions: Sequence[Caption]) -> list[Caption]:
    """Every line once, where each caption repeats the end of the one before, as those of YouTube do.

    Only where that is how the file is made: somebody may say the same thing twice.
    """
    ordered = sorted(captions, key=lambda c: (c.start_us, c.end_us))
    if not _rolls(ordered):
        return list(captions)
    kept = list(_new_lines(ordered))
    return kept


def _rolls(captions: Sequence[Caption]) -> bool:
    """Whether at least three, and more than a third, follow on at once and repeat what stood last."""
    told = [c for c in captions if _spoken(c.lines)]
    repeats = sum(1 for a, b in pairwise(told) if _follows(a, b) and _repeated(a.lines, b.lines))
    return repeats >= 3 and repeats > len(told) / 3


def _follows(before: Caption, after: Caption) -> bool:
    return -_ROLL_GAP_US <= after.start_us - before.end_us <= _ROLL_GAP_US


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
