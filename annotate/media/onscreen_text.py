"""Detects lines of burnt-in text in the lower part of a frame, in any script, without recognising them.

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
"""Share of the height above which nothing is searched: shop signs and title cards are not subtitles."""
_SIDES = (288, 360)
"""The frame is scaled so that its shorter side has at least and at most this many pixels."""
_GAIN = 2.2
"""Factor by which local contrast is raised, so that faint lines are detected too."""
_AROUND = 0.1
"""Side of the window of local contrast, as a share of the shorter side."""
_CORE = 0.3
"""Probability above which a pixel belongs to the core of a line."""
_MIN_SCORE = 0.75
"""Lowest mean probability within the core of a line."""
_GROWN = 1.6
"""The network marks the core of a line. The line extends beyond it by this factor times area / perimeter
(the unclip ratio of differentiable binarization)."""
_HEIGHTS = (0.012, 0.16)
"""Smallest and largest height of a line, as shares of the frame's shorter side."""
_MIN_ASPECT = 1.5
"""Smallest width of a line divided by its height."""
_MIN_WIDTH = 0.1
"""Smallest width of a line as a share of the shorter side: shorter ones are print on a cup or a shirt."""
_FIRST_US = 400_000
_EVERY_US = 2_900_000
"""The network runs on the first frame after `_FIRST_US`, then at this interval, because one run costs as much
as decoding one or two seconds of video. In between it runs where new strokes appear and stay."""
_STROKE = 6
"""Smallest difference in brightness between neighbouring pixels at the edge of a stroke."""
_DENSE = 0.07
"""Smallest share of rising and of falling edges in a patch whose strokes are as dense as those of text."""
_CHANGED = 7.0
"""Mean difference in brightness, out of 255, of a patch where text may have appeared or disappeared since the
last search."""
_PATCH = (36, 12)
"""Width and height in pixels of the patch over which edges and changes are averaged."""
_MIN_PIXELS = 150
"""Fewer changed pixels cannot be a line of text."""
_NEW_LINE_PIXELS = 500
"""A region of new strokes of this size, wider than high, that stays for two frames is searched at once."""
_PADDING = (48, 24)
"""Pixels to each side, and above and below, that the network gets around the strokes."""
_MODEL = "PP-OCRv6_det_small.onnx"

Lower = NDArray[np.uint8]
"""(height, width) brightness of the lower part of a frame, scaled."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame that may be searched for lines."""

    index: int
    lower: Lower


@dataclass(frozen=True, slots=True)
class _SearchResult:
    """The frame of the last search and its lines, from which the next search continues."""

    lower: Lower
    lines: tuple[Box, ...]


class LineSearch:
    """Searches some of the frames of one clip for text: few where there is none, more where there may be."""

    def __init__(self) -> None:
        self._due_us: int | None = None
        self._lines: dict[int, tuple[Box, ...]] = {}
        self._last: _SearchResult | None = None
        self._skipped: _Frame | None = None
        """The last frame that was not searched."""

    def add(self, index: int, luma: NDArray[np.uint8], time_us: int) -> None:
        """Take the next (height, width) frame; `index` is its position among the sampled frames."""
        if self._due_us is None:
            self._due_us = time_us + _FIRST_US
        frame = _Frame(index, lower_part(luma))
        if time_us >= self._due_us or self._unconfirmed() or self._new_strokes_stay(frame.lower):
            self._due_us = time_us + _EVERY_US
            self._search(frame)
        else:
            self._skipped = frame

    def lines(self) -> dict[int, tuple[Box, ...]]:
        """By index of the searched frame: its lines, as far as the search before or after confirms them."""
        if self._skipped and (not self._lines or self._unconfirmed()):
            self._search(self._skipped)
        indices = sorted(self._lines)
        return dict(zip(indices, lasting([self._lines[i] for i in indices]), strict=True))

    def _search(self, frame: _Frame) -> None:
        skipped, self._skipped = self._skipped, None
        self._last = _SearchResult(frame.lower, _lines_since(frame.lower, self._last))
        self._lines[frame.index] = self._last.lines
        if skipped and skipped.index < frame.index and self._unconfirmed():
            unchanged = _unchanged_lines(skipped.lower, self._last)
            self._lines[skipped.index] = unchanged or _lines_since(skipped.lower, self._last)

    def _new_strokes_stay(self, lower: Lower) -> bool:
        """Whether this frame and the one before share strokes that the last search did not see."""
        import cv2

        if not self._last or not self._skipped or self._last.lower.shape != lower.shape:
            return False
        new = _strokes(lower) & (_change(lower, self._last.lower) > _CHANGED)
        unchanged = _change(lower, self._skipped.lower) < 2 * _CHANGED
        _, _, stats, _ = cv2.connectedComponentsWithStats((new & unchanged).astype(np.uint8), connectivity=4)
        return any(
            area >= _NEW_LINE_PIXELS and wide >= 2 * high for _, _, wide, high, area in stats[1:].tolist()
        )

    def _unconfirmed(self) -> bool:
        """Whether the last search found lines and the search before it found none of them."""
        if not self._lines:
            return False
        *earlier, last = (self._lines[index] for index in sorted(self._lines))
        before = earlier[-1] if earlier else ()
        return bool(last) and not any(_same_line(a, b) for a in last for b in before)


def lines(luma: NDArray[np.uint8]) -> tuple[Box, ...]:
    """A box around each line of text in the lower part of a (height, width) frame, from the top.

    Raises `AnnotateError` when the network is not installed.
    """
    return _lines_since(lower_part(luma), None)


def lower_part(luma: NDArray[np.uint8]) -> Lower:
    """The part of a (height, width) frame that shows subtitles, scaled for the network."""
    import cv2

    height, width = luma.shape
    lower = luma[int(height * FROM) :]
    shorter = min(height, width)
    scale = min(max(shorter, _SIDES[0]), _SIDES[1]) / shorter
    size = (max(8, round(width * scale)), max(8, round(lower.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(lower, size, interpolation=how), np.uint8)


def _lines_since(lower: Lower, last: _SearchResult | None) -> tuple[Box, ...]:
    """Lines in shares of the whole frame; after an earlier search, only what changed since is searched."""
    import cv2

    high, wide = lower.shape
    candidates = _strokes(lower)
    kept: tuple[Box, ...] = ()
    if last is not None and last.lower.shape == lower.shape:
        candidates &= _change(lower, last.lower) > _CHANGED
        kept = last.lines
    rows, columns = np.nonzero(candidates)
    if len(rows) < _MIN_PIXELS:
        return kept
    left, right = max(0, int(columns.min()) - _PADDING[0]), min(wide, int(columns.max()) + _PADDING[0])
    top, bottom = max(0, int(rows.min()) - _PADDING[1]), min(high, int(rows.max()) + _PADDING[1])
    searched = Box(
        left / wide, _down(top, high), (right - left) / wide, _down(bottom, high) - _down(top, high)
    )
    side = min(wide, high / (1 - FROM))  # the shorter side of the whole frame
    window, bright = round(_AROUND * side), lower.astype(np.float32)
    around = cv2.blur(bright, (window, window))
    sharpened = np.asarray(np.clip(around + _GAIN * (bright - around), 0, 255), np.float32)
    cores = _cores(sharpened[top:bottom, left:right], side)
    boxes = [
        Box((x + left) / wide, _down(y + top, high), w / wide, _down(y + h, high) - _down(y, high))
        for x, y, w, h in cores
    ]
    boxes += [
        line for line in kept
        if line.left + line.width <= searched.left or searched.left + searched.width <= line.left
        or line.top + line.height <= searched.top or searched.top + searched.height <= line.top
    ]  # fmt: skip
    return tuple(sorted(boxes, key=lambda b: (b.top, b.left)))


def _unchanged_lines(lower: Lower, last: _SearchResult) -> tuple[Box, ...]:
    """The lines of the last search that another frame shows nearly unchanged."""
    if last.lower.shape != lower.shape:
        return ()
    same, (high, wide) = _change(lower, last.lower) <= _CHANGED, lower.shape
    unchanged = []
    for line in last.lines:
        left, right = int(line.left * wide), int((line.left + line.width) * wide) + 1
        top, bottom = (int((y - FROM) / (1 - FROM) * high) for y in (line.top, line.top + line.height))
        if same[top : bottom + 1, left:right].mean() > 0.7:
            unchanged.append(line)
    return tuple(unchanged)


def _change(lower: Lower, other: Lower) -> NDArray[np.float32]:
    """(height, width) mean absolute difference of two frames in the patch around each pixel."""
    import cv2

    return np.asarray(cv2.blur(cv2.absdiff(lower, other).astype(np.float32), _PATCH), np.float32)


def _down(row: float, high: int) -> float:
    """A row of the lower part as a share of the height of the whole frame."""
    return FROM + row / high * (1 - FROM)


def _strokes(lower: Lower) -> NDArray[np.bool_]:
    """(height, width) mask of pixels around which edges rise and fall as often as in text."""
    import cv2

    steps = np.diff(lower.astype(np.float32), axis=1, append=lower[:, -1:].astype(np.float32))
    up, down = (cv2.blur((side > _STROKE).astype(np.float32), _PATCH) for side in (steps, -steps))
    return np.asarray(np.minimum(up, down) > _DENSE)


def _cores(bright: NDArray[np.float32], side: float) -> list[tuple[float, float, float, float]]:
    """(left, top, width, height) in pixels of each line in a (height, width) part of a frame.

    `side` is the shorter side of the whole frame in the same pixels.
    """
    import cv2

    high, wide = bright.shape
    # The network takes three colours, and sides that are multiples of 32.
    padded = np.pad(bright, ((0, -high % 32), (0, -wide % 32)), mode="edge")
    colours = np.broadcast_to(padded / 127.5 - 1, (1, 3, *padded.shape))
    network = _network()
    inputs = {network.get_inputs()[0].name: np.ascontiguousarray(colours, np.float32)}
    # The probability that a pixel is in the core of a line.
    probability = np.asarray(network.run(None, inputs)[0][0, 0], np.float32)[:high, :wide]
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        (probability > _CORE).astype(np.uint8), connectivity=8
    )
    boxes = []
    for n, (x, y, w, h, _) in enumerate(stats[1:count].tolist(), 1):
        score = float(probability[y : y + h, x : x + w][parts[y : y + h, x : x + w] == n].mean())
        margin = _GROWN * w * h / (2 * (w + h))
        line_high, line_wide = h + 2 * margin, w + 2 * margin
        fits = _HEIGHTS[0] * side <= line_high <= _HEIGHTS[1] * side
        long = line_wide >= max(_MIN_ASPECT * line_high, _MIN_WIDTH * side)
        if fits and long and score >= _MIN_SCORE:
            left, right = max(0.0, x - margin), min(float(wide), x + w + margin)
            top, bottom = max(0.0, y - margin), min(float(high), y + h + margin)
            boxes.append((left, top, right - left, bottom - top))
    return boxes


def lasting(searches: Sequence[Sequence[Box]]) -> list[tuple[Box, ...]]:
    """The lines of each search that are also in the search before or after; all lines of a single search."""
    if len(searches) < 2:
        return [tuple(boxes) for boxes in searches]
    neighbours = [
        [*(searches[n - 1] if n else ()), *(searches[n + 1] if n + 1 < len(searches) else ())]
        for n in range(len(searches))
    ]
    return [
        tuple(line for line in boxes if any(_same_line(line, other) for other in near))
        for boxes, near in zip(searches, neighbours, strict=True)
    ]


def _same_line(one: Box, other: Box) -> bool:
    """Whether two lines share most of their rows and much of their columns."""
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return wide > 0.4 * min(one.width, other.width) and high > 0.6 * max(one.height, other.height)


@cache
def _network() -> Any:
    """The detector, loaded once. Raises `AnnotateError` when its weights are not installed."""
    import onnxruntime

    spec = find_spec("rapidocr")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    paths = [Path(folder) / "models" / _MODEL for folder in folders]
    weights = next((path for path in paths if path.is_file()), None)
    if weights is None:
        raise AnnotateError(
            f"the detector of burnt-in text is not installed: {_MODEL} of the package rapidocr is missing",
            hint="pip install --force-reinstall 'rapidocr>=3.10,<3.11'",
        )
    # Worker processes share the processor already.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(weights.read_bytes(), options, providers=["CPUExecutionProvider"])
