"""Finds lines of burnt-in text in the lower part of a picture, in any script, without reading them.

The network is the small detector of PP-OCRv6 (PaddleOCR; differentiable binarization, Liao et al. 2020). Its
weights (Apache-2.0) come with the package `rapidocr`; onnxruntime runs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import AnnotateError
from annotate.types import Box

FROM = 0.6
"""Share of the height above which nothing is searched: shop signs and title cards are no subtitles."""
_SIDES = (288, 360)
"""Fewest and most pixels of the whole picture's shorter side when its lower part is searched."""
_GAIN = 2.2
"""By how much contrast with the surroundings is raised, so that faint lines are found too."""
_AROUND = 0.1
"""Side of what counts as the surroundings of a pixel / shorter side."""
_INK = 0.3
"""Probability from which a pixel belongs to the core of a line."""
_LEAST_SCORE = 0.75
"""Least mean probability within the core of a line."""
_GROWN = 1.6
"""The network marks the cores of lines; a line is larger by this, times area / circumference (as in DB)."""
_HEIGHTS = (0.012, 0.16)
"""Lowest and highest line, as shares of the picture's shorter side."""
_LEAST_WIDE = 1.5
"""Least width of a line / its height."""
_SHORTEST = 0.1
"""Least width of a line / shorter side: shorter ones are print on a cup or a shirt."""
_FIRST_US = 400_000
_EVERY_US = 2_900_000
"""The network runs on the first look after `_FIRST_US`, then this often, for it costs as much as decoding one
or two seconds of footage. Between, it runs where strokes are new and stand."""
_STROKE = 6
"""Change of brightness from one pixel to the next that may be the edge of a stroke."""
_DENSE = 0.07
"""Least share of rising and of falling edges where strokes are as dense as in text."""
_CHANGED = 7.0
"""Mean change of brightness, of 255, in a patch where text may have come or gone since the last search."""
_PATCH = (36, 12)
"""Pixels, across and down, over which edges and changes are averaged."""
_FEW = 150
"""Fewer changed pixels than this are no line of text."""
_MANY = 500
"""Pixels of a patch of new strokes, wider than high, that is searched at once where it stands."""
_PADDING = (48, 24)
"""Pixels, across and down, that the network sees around the strokes."""
_MODEL = "PP-OCRv6_det_small.onnx"

Lower = NDArray[np.uint8]
"""(height, width) brightness of the lower part of a picture, made small."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One picture that may be searched for lines."""

    glimpse: int
    lower: Lower


@dataclass(frozen=True, slots=True)
class _Searched:
    """What a search found, for the next one to go on from."""

    lower: Lower
    lines: tuple[Box, ...]


class LineSearch:
    """Searches some of the pictures of one sample: few where there is no text, more where there may be."""

    def __init__(self) -> None:
        self._due_us: int | None = None
        self._found: dict[int, tuple[Box, ...]] = {}
        self._last: _Searched | None = None
        self._passed: _Look | None = None
        """The last look that was not searched."""

    def look(self, glimpse: int, gray: NDArray[np.uint8], time_us: int) -> None:
        """Take the next picture, (height, width), of the glimpse of that number."""
        if self._due_us is None:
            self._due_us = time_us + _FIRST_US
        look = _Look(glimpse, lower_part(gray))
        if time_us >= self._due_us or self._in_doubt() or self._stands_new(look.lower):
            self._due_us = time_us + _EVERY_US
            self._search(look)
        else:
            self._passed = look

    def lines(self) -> dict[int, tuple[Box, ...]]:
        """By glimpse that was searched: its lines, as far as the searches before or after confirm them."""
        if self._passed and (not self._found or self._in_doubt()):
            self._search(self._passed)
        glimpses = sorted(self._found)
        return dict(zip(glimpses, lasting([self._found[g] for g in glimpses]), strict=True))

    def _search(self, look: _Look) -> None:
        passed, self._passed = self._passed, None
        self._last = _Searched(look.lower, _lines_since(look.lower, self._last))
        self._found[look.glimpse] = self._last.lines
        if passed and passed.glimpse < look.glimpse and self._in_doubt():
            standing = _standing(passed.lower, self._last)
            self._found[passed.glimpse] = standing or _lines_since(passed.lower, self._last)

    def _stands_new(self, lower: Lower) -> bool:
        """Whether strokes that the last search did not see stand here as in the look before."""
        import cv2

        if not self._last or not self._passed or self._last.lower.shape != lower.shape:
            return False
        new = _strokes(lower) & (_change(lower, self._last.lower) > _CHANGED)
        standing = _change(lower, self._passed.lower) < 2 * _CHANGED
        _, _, stats, _ = cv2.connectedComponentsWithStats((new & standing).astype(np.uint8), connectivity=4)
        return any(area >= _MANY and wide >= 2 * high for _, _, wide, high, area in stats[1:].tolist())

    def _in_doubt(self) -> bool:
        """Whether the last search found lines that no other search confirms."""
        if not self._found:
            return False
        glimpses = sorted(self._found)
        return bool(self._found[glimpses[-1]]) and not any(
            _same(line, other)
            for line in self._found[glimpses[-1]]
            for other in (self._found[glimpses[-2]] if len(glimpses) > 1 else ())
        )


def lines(gray: NDArray[np.uint8]) -> tuple[Box, ...]:
    """Around each line of text in the lower part of a (height, width) picture, from the top."""
    return lines_in(lower_part(gray))


def lower_part(gray: NDArray[np.uint8]) -> Lower:
    """The part of a (height, width) picture in which subtitles stand, made small."""
    import cv2

    height, width = gray.shape
    lower = gray[int(height * FROM) :]
    shorter = min(height, width)
    scale = min(max(shorter, _SIDES[0]), _SIDES[1]) / shorter
    size = (max(8, round(width * scale)), max(8, round(lower.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(lower, size, interpolation=how), np.uint8)


def lines_in(lower: Lower) -> tuple[Box, ...]:
    """Around each line in what `lower_part` gave, as shares of the whole picture.

    Raises `AnnotateError` when the network is not installed.
    """
    return _lines_since(lower, None)


def _lines_since(lower: Lower, last: _Searched | None) -> tuple[Box, ...]:
    """The same; after an earlier search, the network sees no more than what changed since."""
    high, wide = lower.shape
    where = _strokes(lower)
    kept: tuple[Box, ...] = ()
    if last is not None and last.lower.shape == lower.shape:
        where &= _change(lower, last.lower) > _CHANGED
        kept = last.lines
    rows, columns = np.nonzero(where)
    if len(rows) < _FEW:
        return kept
    left, right = max(0, int(columns.min()) - _PADDING[0]), min(wide, int(columns.max()) + _PADDING[0])
    top, bottom = max(0, int(rows.min()) - _PADDING[1]), min(high, int(rows.max()) + _PADDING[1])
    seen = Box(left / wide, _down(top, high), (right - left) / wide, _down(bottom, high) - _down(top, high))
    side = _side(lower)
    found = _cores(_sharpened(lower, side)[top:bottom, left:right], side)
    boxes = [
        Box((x + left) / wide, _down(y + top, high), w / wide, _down(y + h, high) - _down(y, high))
        for x, y, w, h in found
    ]
    boxes += [line for line in kept if not _touch(line, seen)]
    return tuple(sorted(boxes, key=lambda b: (b.top, b.left)))


def _standing(lower: Lower, last: _Searched) -> tuple[Box, ...]:
    """The lines that the last search found and that stand, nearly unchanged, in another picture."""
    if last.lower.shape != lower.shape:
        return ()
    same, (high, wide) = _change(lower, last.lower) <= _CHANGED, lower.shape
    standing = []
    for line in last.lines:
        left, right = int(line.left * wide), int((line.left + line.width) * wide) + 1
        top, bottom = (int((y - FROM) / (1 - FROM) * high) for y in (line.top, line.top + line.height))
        if same[top : bottom + 1, left:right].mean() > 0.7:
            standing.append(line)
    return tuple(standing)


def _change(lower: Lower, other: Lower) -> NDArray[np.float32]:
    """(height, width) mean change of brightness in the patch around each pixel, between two pictures."""
    import cv2

    return np.asarray(cv2.blur(cv2.absdiff(lower, other).astype(np.float32), _PATCH), np.float32)


def _side(lower: Lower) -> float:
    """Pixels of the shorter side of the whole picture."""
    high, wide = lower.shape
    return min(wide, high / (1 - FROM))


def _down(row: float, high: int) -> float:
    """A row of the lower part as a share of the whole picture's height."""
    return FROM + row / high * (1 - FROM)


def _touch(one: Box, other: Box) -> bool:
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return wide > 0 and high > 0


def _strokes(lower: Lower) -> NDArray[np.bool_]:
    """(height, width) whether brightness goes up and down as often as across text: no line is elsewhere."""
    import cv2

    steps = np.diff(lower.astype(np.float32), axis=1, append=lower[:, -1:].astype(np.float32))
    up, down = (cv2.blur((side > _STROKE).astype(np.float32), _PATCH) for side in (steps, -steps))
    return np.asarray(np.minimum(up, down) > _DENSE)


def _cores(bright: NDArray[np.float32], side: float) -> list[tuple[float, float, float, float]]:
    """(left, top, width, height) in pixels of each line in a (height, width) part of a picture.

    `side` is the shorter side of the whole picture, in the same pixels.
    """
    import cv2

    high, wide = bright.shape
    likely = _likely(bright)[:high, :wide]
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        (likely > _INK).astype(np.uint8), connectivity=8
    )
    found = []
    for n, (x, y, w, h, _) in enumerate(stats[1:count].tolist(), 1):
        score = float(likely[y : y + h, x : x + w][parts[y : y + h, x : x + w] == n].mean())
        margin = _GROWN * w * h / (2 * (w + h))
        line_high, line_wide = h + 2 * margin, w + 2 * margin
        fits = _HEIGHTS[0] * side <= line_high <= _HEIGHTS[1] * side
        long = line_wide >= max(_LEAST_WIDE * line_high, _SHORTEST * side)
        if fits and long and score >= _LEAST_SCORE:
            left, right = max(0.0, x - margin), min(float(wide), x + w + margin)
            top, bottom = max(0.0, y - margin), min(float(high), y + h + margin)
            found.append((left, top, right - left, bottom - top))
    return found


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


def _sharpened(lower: Lower, shorter_side: float) -> NDArray[np.float32]:
    """(height, width) with more contrast to what surrounds each pixel, 0 to 255."""
    import cv2

    side = round(_AROUND * shorter_side)
    bright = lower.astype(np.float32)
    around = cv2.blur(bright, (side, side))
    return np.asarray(np.clip(around + _GAIN * (bright - around), 0, 255), np.float32)


def _likely(bright: NDArray[np.float32]) -> NDArray[np.float32]:
    """(height, width), both rounded up to multiples of 32: how likely each pixel is the core of a line."""
    high, wide = bright.shape
    padded = np.pad(bright, ((0, -high % 32), (0, -wide % 32)), mode="edge")
    colours = np.broadcast_to(padded / 127.5 - 1, (1, 3, *padded.shape))
    network = _network()
    (likely,) = network.run(None, {network.get_inputs()[0].name: np.ascontiguousarray(colours, np.float32)})
    return np.asarray(likely[0, 0], np.float32)


@cache
def _network() -> Any:
    import onnxruntime

    # Worker processes share the processor already.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(_weights(), options, providers=["CPUExecutionProvider"])


def _weights() -> bytes:
    spec = find_spec("rapidocr")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "models" / _MODEL
        if path.is_file():
            return path.read_bytes()
    raise AnnotateError(
        f"the detector of burnt-in text is not installed: {_MODEL} of the package rapidocr is missing",
        hint="pip install --force-reinstall 'rapidocr>=3.10,<3.11'",
    )
