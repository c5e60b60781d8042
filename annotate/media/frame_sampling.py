"""Samples frames of a clip while it is cut, and measures what the checks need: level, change, faces, text."""

from dataclasses import dataclass, replace
from itertools import groupby
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.media.faces import for_search, settle
from annotate.media.frames import gray
from annotate.media.mouth import FaceTracker, motion, mouth
from annotate.media.onscreen_text import LineSearch
from annotate.types import Box, FrameSample
from annotate.yunet import SURE, Detection, search

if TYPE_CHECKING:
    import av

EVERY_US = 80_000
"""Interval of the sampled frames: about twelve a second, enough to resolve syllables."""
_SECOND_SEARCH_US = 500_000
_SEARCH_US = 1_000_000
"""Interval of the searches for faces and text. The second search in a shot follows after `_SECOND_SEARCH_US`,
because many clips are short."""
_SLACK_US = 10_000
_AREA = 64_000
"""Approximate number of pixels of the frames that are compared and in which faces are tracked."""
_SHOT_CHANGE = 0.12
"""Mean absolute difference in brightness, 0 to 1, above which a new shot begins."""
_LATE_US = 200_000
"""A frame that follows the one before by more than this gives no measure of motion."""


@dataclass(slots=True)
class _SearchedFrame:
    """A sampled frame that was searched for faces, about one a second."""

    index: int
    """Position among the sampled frames."""
    shot: int
    detections: tuple[Detection, ...]


class FrameSampler:
    """Takes the frames of one clip, all or only some, and measures a part of them."""

    def __init__(self) -> None:
        self._next_us: float = -np.inf
        self._next_search_us: float = -np.inf
        self._shot = 0
        self._before: NDArray[np.uint8] | None = None
        self._tracker: FaceTracker | None = None
        self._mouth: NDArray[np.float32] | None = None
        self._samples: list[FrameSample] = []
        self._searched: list[_SearchedFrame] = []
        self._text = LineSearch()

    def add(self, frame: "av.VideoFrame", time_us: int) -> None:
        """Take the next yuv420p frame, shown `time_us` microseconds after the start of the video."""
        import cv2

        if time_us < self._next_us - _SLACK_US:
            return
        late = time_us > self._next_us - EVERY_US + _LATE_US
        self._next_us = time_us + EVERY_US
        luma = gray(frame)
        small = shrink(luma)
        change = self._change(small, time_us)
        if time_us >= self._next_search_us - _SLACK_US:
            self._search(frame, luma, small, time_us)
        box = self._tracker.track(small) if self._tracker else None
        if box is None:
            self._tracker = self._mouth = None
        mouth_before, self._mouth = self._mouth, None if box is None else mouth(luma, box)
        mean, deviation = cv2.meanStdDev(small)
        self._samples.append(
            FrameSample(
                time_us,
                brightness=float(mean[0, 0]) / 255,
                contrast=float(deviation[0, 0]) / 255,
                change=change,
                mouth=None
                if late or self._mouth is None or mouth_before is None
                else motion(self._mouth, mouth_before),
            )
        )
        self._before = small

    def frame_samples(self) -> tuple[FrameSample, ...]:
        """The sampled frames so far, in order, with the faces and text that neighbouring searches confirm."""
        samples = list(self._samples)
        text = self._text.lines()
        settled: list[tuple[Box, ...]] = []
        for _, group in groupby(self._searched, key=lambda searched: searched.shot):
            shot = list(group)
            times_us = [samples[searched.index].time_us for searched in shot]
            settled += settle([searched.detections for searched in shot], times_us)
        for searched, faces in zip(self._searched, settled, strict=True):
            index = searched.index
            samples[index] = replace(samples[index], faces=faces, onscreen_text=text.get(index))
        return tuple(samples)

    def _change(self, small: NDArray[np.uint8], time_us: int) -> float | None:
        """Change of the most changed of 8 x 8 blocks; a large mean change starts a new shot."""
        if self._before is None or self._before.shape != small.shape:
            return None
        blocks = difference(small, self._before)
        if blocks.mean() > _SHOT_CHANGE:
            self._shot += 1
            self._next_search_us = time_us
            self._tracker = self._mouth = None
        return float(blocks.max())

    def _search(
        self, frame: "av.VideoFrame", luma: NDArray[np.uint8], small: NDArray[np.uint8], time_us: int
    ) -> None:
        """Search a frame for faces and on-screen text."""
        detections = search(for_search(frame))
        first_of_shot = not self._searched or self._searched[-1].shot != self._shot
        self._next_search_us = time_us + (_SECOND_SEARCH_US if first_of_shot else _SEARCH_US)
        self._searched.append(_SearchedFrame(len(self._samples), self._shot, detections))
        self._text.add(len(self._samples), luma, time_us)
        best = max(detections, key=lambda d: (d.score >= SURE, d.box.width), default=None)
        if best:
            self._tracker = FaceTracker(small, best.box)


def shrink(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A (height, width) frame scaled down by a whole number, to about 64,000 pixels."""
    import cv2

    factor = max(1, round(sqrt(luma.size / _AREA)))
    height, width = (side // factor for side in luma.shape)
    if factor == 1 or not height or not width:
        return luma
    part = luma[: height * factor, : width * factor]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def difference(luma: NDArray[np.uint8], before: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(8, 8) mean absolute differences, 0 to 1, of the blocks of two frames of the same size."""
    import cv2

    changed = cv2.absdiff(luma, before).astype(np.float32)
    return np.asarray(cv2.resize(changed, (8, 8), interpolation=cv2.INTER_AREA), np.float64) / 255
