"""Divides a video at changes of scene, for footage without speech."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from annotate.registry import segmenter
from annotate.types import Footage, LengthRules, Segment, Speech

_LEVELS = 8
"""Number of levels to which each colour channel is quantised."""
_PARTS = 2
"""Number of parts in each direction with a histogram each, so that the place of a colour counts."""
_CHANGED = 0.4
"""Share of the frame whose colours differ from the frame before, above which a new scene begins."""


@segmenter("scenes")
class Scenes:
    """From one change of colours in the keyframes to the next (Swain and Ballard 1991).

    For footage without speech; long scenes are divided evenly. Only keyframes are examined, so a change
    counts from the next keyframe on (most encoders put one there), and a change without a keyframe is
    missed.
    """

    def __init__(self, *, preset: str = "near") -> None:
        """`preset` has no effect, because this segmenter does not use the audio."""

    def segment(self, footage: Footage, lengths: LengthRules) -> Speech:
        """The scenes, joined when too short and divided evenly when too long; they cover the whole video."""
        if footage.duration_us <= 0:
            return Speech((), meant=True)
        least, most = round(lengths.min_seconds * 1e6), round(lengths.max_seconds * 1e6)
        inside = [t for t in changes(footage.pictures()) if 0 < t < footage.duration_us]
        ends = merged([0, *inside, footage.duration_us], least)
        scenes = [part for a, b in pairwise(ends) for part in evenly(a, b, most)]
        return Speech(tuple(s for s in scenes if s.end_us - s.start_us >= least), meant=True)


def changes(pictures: Iterable[tuple[int, NDArray[np.uint8]]]) -> list[int]:
    """Times in microseconds at which new scenes begin. Encoders place a keyframe there."""
    times: list[int] = []
    before: NDArray[np.float64] | None = None
    for time_us, picture in pictures:
        now = colours(picture)
        if before is not None and 1 - np.minimum(before, now).sum() > _CHANGED:
            times.append(time_us)
        before = now
    return times


def colours(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(height, width, 3) RGB -> (2048,) colour histograms of the four quarters, with sum 1."""
    height, width = picture.shape[:2]
    level = (picture // (256 // _LEVELS)).astype(np.intp)
    code = (level[..., 0] * _LEVELS + level[..., 1]) * _LEVELS + level[..., 2]
    rows, columns = (np.arange(n) * _PARTS // n for n in (height, width))
    part = rows[:, None] * _PARTS + columns[None, :]
    counts = np.bincount((part * _LEVELS**3 + code).ravel(), minlength=_PARTS**2 * _LEVELS**3)
    return counts / counts.sum()


def merged(ends: Sequence[int], least: int) -> list[int]:
    """Ascending ends without those that would make a scene shorter than `least`; the first and last stay."""
    kept = [ends[0]]
    for end in ends[1:-1]:
        if end - kept[-1] >= least:
            kept.append(end)
    if len(kept) > 1 and ends[-1] - kept[-1] < least:
        kept.pop()
    return [*kept, ends[-1]]


def evenly(start: int, end: int, most: int) -> list[Segment]:
    """The smallest number of equal parts that are no longer than `most`."""
    count = -(-(end - start) // most)
    edges = [start + (end - start) * n // count for n in range(count + 1)]
    return [Segment(a, b) for a, b in pairwise(edges)]
