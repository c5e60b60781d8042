"""Tells from several looks which faces are there (those that `annotate.yunet` finds in single pictures)."""

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.types import Box
from annotate.yunet import SURE, Detection, overlap

if TYPE_CHECKING:
    import av

AREA = 80_000
"""Pixels of a picture that is searched, about: at 377 x 212 a face of a tenth of the height has 21 pixels."""
_BYSTANDER = 1 / 3
"""Faces smaller than this share of the largest one in the picture are people in the background."""
_SAME = 0.25
"""Intersection over union from which two boxes, one after the other, are the same face."""
_GAP_US = 2_200_000
"""A face that is missed for no longer than this between two detections was there all the time: one look a
second, and a little more."""


def for_search(frame: "av.VideoFrame") -> NDArray[np.uint8]:
    """(height, width, 3) BGR: a decoded picture, made small enough to be searched."""
    scale = min(1.0, sqrt(AREA / (frame.width * frame.height)))
    width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    # One thread: workers share the processor already.
    small = frame.reformat(width, height, "bgr24", interpolation="AREA", threads=1)
    return np.asarray(small.to_ndarray(), np.uint8)


def settle(looks: Sequence[Sequence[Detection]], times_us: Sequence[int]) -> list[tuple[Box, ...]]:
    """The faces of each look at one shot, the largest first. `times_us` says when each look was.

    A face that is never seen surely is dropped. One that is missed for up to two seconds between two
    detections is kept, on the way from the one place to the other: a hand or a turned head hid it. What is
    much smaller than the largest face of a look is a bystander and left out.
    """
    faces: list[list[Box]] = [[] for _ in looks]
    for track in _tracks(looks, times_us):
        if max(detection.score for _, detection in track) < SURE:
            continue
        for (n, detection), (after, following) in zip(track, [*track[1:], track[-1]], strict=True):
            faces[n].append(detection.box)
            for between in range(n + 1, after):
                way = (times_us[between] - times_us[n]) / (times_us[after] - times_us[n])
                faces[between].append(_between(detection.box, following.box, way))
    return [_without_bystanders(boxes) for boxes in faces]


Track = list[tuple[int, Detection]]
"""One face: (number of the look, where it was seen), in order."""


def _tracks(looks: Sequence[Sequence[Detection]], times_us: Sequence[int]) -> list[Track]:
    """Sightings that follow each other at one place, put together; the surest choose first."""
    tracks: list[Track] = []
    for n, look in enumerate(looks):
        open_tracks = [t for t in tracks if times_us[n] - times_us[t[-1][0]] <= _GAP_US]
        for detection in sorted(look, key=lambda s: -s.score):
            shared = [overlap(detection.box, track[-1][1].box) for track in open_tracks]
            if shared and max(shared) > _SAME:
                open_tracks.pop(int(np.argmax(shared))).append((n, detection))
            else:
                tracks.append([(n, detection)])
    return tracks


def _between(one: Box, other: Box, way: float) -> Box:
    return Box(
        one.left + way * (other.left - one.left),
        one.top + way * (other.top - one.top),
        one.width + way * (other.width - one.width),
        one.height + way * (other.height - one.height),
    )


def _without_bystanders(boxes: Sequence[Box]) -> tuple[Box, ...]:
    largest = max((box.width for box in boxes), default=0.0)
    kept = [box for box in boxes if box.width >= _BYSTANDER * largest]
    return tuple(sorted(kept, key=lambda b: (-b.width, b.left, b.top)))
