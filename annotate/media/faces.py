"""Tracks the faces that `annotate.yunet` detects in single frames over the frames of a shot."""

from collections.abc import Sequence
from dataclasses import astuple
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.types import Box
from annotate.yunet import SURE, Detection, overlap

if TYPE_CHECKING:
    import av

AREA = 80_000
"""Approximate pixels of a searched frame: at 377 x 212 a face of a tenth of the height has 21 pixels."""
_BYSTANDER = 1 / 3
"""Faces smaller than this share of the largest one in the frame are people in the background."""
_SAME = 0.25
"""Intersection over union above which two successive boxes show the same face."""
_GAP_US = 2_200_000
"""A face that is missed for no longer than this between two detections was there all the time: one look a
second, and a little more."""


def for_search(frame: "av.VideoFrame") -> NDArray[np.uint8]:
    """A decoded frame as (height, width, 3) BGR, scaled down for the search."""
    scale = min(1.0, sqrt(AREA / (frame.width * frame.height)))
    width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    # One thread: workers share the processor already.
    small = frame.reformat(width, height, "bgr24", interpolation="AREA", threads=1)
    return np.asarray(small.to_ndarray(), np.uint8)


def settle(searches: Sequence[Sequence[Detection]], times_us: Sequence[int]) -> list[tuple[Box, ...]]:
    """The faces in each searched frame of one shot, the largest first; `times_us` are the frames' times.

    A face that is never detected with certainty is dropped. A face that is missed for up to two seconds
    between two detections, because a hand or a turned head hid it, is interpolated. Faces that are much
    smaller than the largest one of a frame are bystanders and left out.
    """
    faces: list[list[Box]] = [[] for _ in searches]
    for track in _tracks(searches, times_us):
        if max(detection.score for _, detection in track) < SURE:
            continue
        for (n, detection), (after, following) in zip(track, [*track[1:], track[-1]], strict=True):
            faces[n].append(detection.box)
            for between in range(n + 1, after):
                way = (times_us[between] - times_us[n]) / (times_us[after] - times_us[n])
                sides = zip(astuple(detection.box), astuple(following.box), strict=True)
                faces[between].append(Box(*(one + way * (other - one) for one, other in sides)))
    kept = []
    for boxes in faces:
        least = _BYSTANDER * max((box.width for box in boxes), default=0.0)
        visible = [box for box in boxes if box.width >= least]
        kept.append(tuple(sorted(visible, key=lambda b: (-b.width, b.left, b.top))))
    return kept


Track = list[tuple[int, Detection]]
"""One face: (index of the searched frame, detection), in order."""


def _tracks(searches: Sequence[Sequence[Detection]], times_us: Sequence[int]) -> list[Track]:
    """Successive detections at one place, joined greedily in order of their scores."""
    tracks: list[Track] = []
    for n, detections in enumerate(searches):
        open_tracks = [t for t in tracks if times_us[n] - times_us[t[-1][0]] <= _GAP_US]
        for detection in sorted(detections, key=lambda d: -d.score):
            shared = [overlap(detection.box, track[-1][1].box) for track in open_tracks]
            if shared and max(shared) > _SAME:
                open_tracks.pop(int(np.argmax(shared))).append((n, detection))
            else:
                tracks.append([(n, detection)])
    return tracks
