"""Finds lines of burnt-in text in the lower part of a picture by what all lettering shares, in any script:
strokes of one brightness, thin, dense, in a row that begins and ends sharply. Nothing is read or learnt."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.types import Box

FROM = 0.6
"""Share of the height above which nothing is searched: shop signs and title cards are no subtitles."""
_WIDTH = 720
"""Pixels; wider pictures are made narrower."""
_INKS = ((40, 140), (80, 190))
"""(contrast against what surrounds strokes, brightness) that ink exceeds, in steps out of 255. The second
frees white letters from faces and shirts that they touch; dark letters stand on plain bars, where the first
does."""
_HEIGHTS = (0.025, 0.15)
"""Lowest and highest line, as shares of the picture's shorter side."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """What ink has to be like to be text; found on drawn text and on textures of rooms and clothes."""

    strokes: float
    """Least number that a row crosses in a stretch as long as the line is high, on average."""
    spread: float
    """Largest standard deviation of the brightness along the strokes: lettering is of one ink."""
    level: float
    """Least median brightness of the strokes."""


_LONG = _Limits(strokes=1.3, spread=32, level=185)
_SHORT = _Limits(strokes=1.7, spread=22, level=210)
"""Of lines less than `_FEW` times as long as high: so little has to be all the more like text."""
_FEW = 3.5
_SHARP = 0.22
"""Most ink just above and below a line / ink within it."""


def lines(gray: NDArray[np.uint8]) -> tuple[Box, ...]:
    """Around each line of text in a (height, width) picture, from the top."""
    import cv2

    height, width = gray.shape
    factor = max(1, round(width / _WIDTH))
    top = int(height * FROM) // factor * factor
    lower = gray[top : top + (height - top) // factor * factor, : width // factor * factor]
    if factor > 1:
        small = (lower.shape[1] // factor, lower.shape[0] // factor)
        lower = np.asarray(cv2.resize(lower, small, interpolation=cv2.INTER_AREA), np.uint8)
    found: list[Box] = []
    for picture, inks in ((lower, _INKS), (255 - lower, _INKS[:1])):
        for x, y, w, h in _lines(picture, min(height, width) / factor, inks):
            box = Box(
                x * factor / width, (y * factor + top) / height, w * factor / width, h * factor / height
            )
            found.append(box)
    return tuple(sorted(found, key=lambda b: (b.top, b.left)))


def lasting(looks: Sequence[Sequence[Box]]) -> list[tuple[Box, ...]]:
    """Of the lines of each look, those that the look before or after has too; a single look has to do."""
    if len(looks) < 2:
        return [tuple(look) for look in looks]
    return [
        tuple(
            line
            for line in look
            if any(_same(line, o) for k in (n - 1, n + 1) if 0 <= k < len(looks) for o in looks[k])
        )
        for n, look in enumerate(looks)
    ]


def _same(one: Box, other: Box) -> bool:
    """Whether two lines stand in the same rows, and over much of the same columns."""
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return wide > 0.4 * min(one.width, other.width) and high > 0.6 * max(one.height, other.height)


def _lines(
    gray: NDArray[np.uint8], full: float, inks: Sequence[tuple[int, int]]
) -> list[tuple[int, int, int, int]]:
    """(x, y, width, height) of light lines; `full` is the shorter side of the whole picture."""
    import cv2

    side = max(5, round(full * 0.036)) | 1
    over = np.asarray(cv2.morphologyEx(gray, cv2.MORPH_TOPHAT, np.ones((side, side), np.uint8)), np.uint8)
    found = []
    for contrast, bright in inks:
        ink = ((over > contrast) & (gray > bright)).astype(np.uint8)
        found += [line for line in _rows(_parts(ink, full)) if _is_text(gray, over, ink, line, full)]
    return found


def _parts(ink: NDArray[np.uint8], full: float) -> list[tuple[int, int, int, int]]:
    """(x, y, width, height) of what may be words, or characters whose strokes do not touch."""
    import cv2

    gap = max(2, round(full * 0.011))
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((gap, gap + 1), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    high = stats[1:count, 3]
    fits = (high >= 0.018 * full) & (high <= 0.14 * full)
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in stats[1:count, :4][fits]]


def _rows(parts: Sequence[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Words or characters put together to lines: beside each other, of similar height, at one height."""
    rows: list[list[tuple[int, int, int, int]]] = []
    for part in sorted(parts):
        fitting = [row for row in rows if _continues(row, part)]
        if fitting:
            max(fitting, key=lambda row: row[-1][0] + row[-1][2]).append(part)
        else:
            rows.append([part])
    return [_extent(row) for row in rows]


def _continues(row: Sequence[tuple[int, int, int, int]], part: tuple[int, int, int, int]) -> bool:
    x, y, _, h = part
    left, top, wide, high = _extent(row)
    common = min(top + high, y + h) - max(top, y)
    alike = max(h, high) < 2.2 * min(h, high)
    return alike and common > 0.6 * min(h, high) and x - left - wide < 1.2 * max(h, high)


def _extent(row: Sequence[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    """Around a row; a letter that sticks out, up or down, does not make it higher."""
    left, right = row[0][0], max(x + w for x, _, w, _ in row)
    top = _usual([(y, w) for _, y, w, _ in row])
    bottom = _usual([(y + h, w) for _, y, w, h in row])
    return left, top, right - left, bottom - top


def _usual(weighted: Sequence[tuple[int, int]]) -> int:
    """The median of (value, weight) pairs."""
    half, seen = sum(weight for _, weight in weighted) / 2, 0
    for value, weight in sorted(weighted):
        seen += weight
        if seen >= half:
            return value
    raise AssertionError("a row has parts")


def _is_text(
    gray: NDArray[np.uint8],
    over: NDArray[np.uint8],
    ink: NDArray[np.uint8],
    line: tuple[int, int, int, int],
    full: float,
) -> bool:
    x, y, w, h = line
    high, wide = ink.shape
    whole = x > 1 and y > 1 and x + w < wide - 1 and y + h < high
    if not whole or w < 1.6 * h or not _HEIGHTS[0] * full <= h <= _HEIGHTS[1] * full:
        return False
    limits = _SHORT if w < _FEW * h else _LONG
    rows, columns = slice(y, y + h), slice(x, x + w)
    inside, strength = ink[rows, columns] > 0, over[rows, columns]
    middle = inside[h // 5 : h - h // 5].astype(np.int8)
    strokes = float((np.diff(middle, axis=1, prepend=0) == 1).sum(axis=1).mean()) * h / w
    # Along the middle of the strokes, for their edges are blurred.
    ridge = gray[rows, columns][inside & (strength >= np.percentile(strength[inside], 60))]
    return (
        strokes >= limits.strokes
        and float(ridge.std()) <= limits.spread
        and float(np.median(ridge)) >= limits.level
        and _near(ink, line) <= _SHARP * float(inside.mean())
    )


def _near(ink: NDArray[np.uint8], line: tuple[int, int, int, int]) -> float:
    """Share of ink just above and just below a line."""
    x, y, w, h = line
    margin = max(2, round(0.25 * h))
    above = ink[max(0, y - margin) : max(0, y - 1), x : x + w]
    below = ink[y + h + 1 : y + h + margin, x : x + w]
    both = np.concatenate([above, below])
    return float(both.mean()) if both.size else 0.0
