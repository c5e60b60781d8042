"""Looks at some pictures of a sample while it is cut, and notes what its checks need to know."""

from dataclasses import dataclass, replace
from itertools import groupby
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.media.faces import for_search, settle
from annotate.media.lettering import LineSearch
from annotate.media.mouth import Follower, motion, mouth
from annotate.media.picture import gray
from annotate.types import Box, Glimpse
from annotate.yunet import SURE, Sighting, search

if TYPE_CHECKING:
    import av

EVERY_US = 80_000
"""About twelve pictures in a second are looked at, enough to see syllables."""
_SOON_US = 500_000
_LOOK_US = 1_000_000
"""Pictures are searched for faces this often; for the second time in a shot after `_SOON_US`, since many
samples are short."""
_SLACK_US = 10_000
_AREA = 64_000
"""Pixels of the pictures that are compared with each other, and in which faces are followed, about."""
_OTHER_SCENE = 0.12
"""Mean change of brightness from which it is another shot."""
_LATE_US = 200_000
"""A picture that comes later than this after the one before says nothing about motion."""


@dataclass(slots=True)
class _Look:
    """One of the pictures that are searched for faces, about one a second."""

    glimpse: int
    scene: int
    sightings: tuple[Sighting, ...]


class Watcher:
    """Sees the pictures of one sample, all or only some, and looks at a part of them."""

    def __init__(self) -> None:
        self._next_us: float = -np.inf
        self._look_us: float = -np.inf
        self._scene = 0
        self._before: NDArray[np.uint8] | None = None
        self._follower: Follower | None = None
        self._mouth: NDArray[np.float32] | None = None
        self._glimpses: list[Glimpse] = []
        self._looks: list[_Look] = []
        self._text = LineSearch()

    def see(self, frame: "av.VideoFrame", time_us: int) -> None:
        """Take the next yuv420p picture, shown at `time_us` from the video's start."""
        if time_us < self._next_us - _SLACK_US:
            return
        late = time_us > self._next_us - EVERY_US + _LATE_US
        self._next_us = time_us + EVERY_US
        picture = gray(frame)
        small = shrink(picture)
        change = self._changed(small, time_us)
        if time_us >= self._look_us - _SLACK_US:
            self._look(frame, picture, small, time_us)
        moved = self._mouth_moved(picture, small)
        brightness, contrast = _level(small)
        self._glimpses.append(
            Glimpse(
                time_us,
                brightness=brightness,
                contrast=contrast,
                change=change,
                mouth=None if late else moved,
            )
        )
        self._before = small

    def glimpses(self) -> tuple[Glimpse, ...]:
        """What was seen so far, in order; faces and lettering as the looks before and after confirm them."""
        made = list(self._glimpses)
        text = self._text.lines()
        for look, faces in zip(self._looks, self._faces(), strict=True):
            made[look.glimpse] = replace(made[look.glimpse], faces=faces, lettering=text.get(look.glimpse))
        return tuple(made)

    def _changed(self, small: NDArray[np.uint8], time_us: int) -> float | None:
        """By how much the most changed part of the picture did; another shot is looked at anew."""
        if self._before is None or self._before.shape != small.shape:
            return None
        blocks = difference(small, self._before)
        if blocks.mean() > _OTHER_SCENE:
            self._scene += 1
            self._look_us = time_us
            self._follower = self._mouth = None
        return float(blocks.max())

    def _look(
        self, frame: "av.VideoFrame", picture: NDArray[np.uint8], small: NDArray[np.uint8], time_us: int
    ) -> None:
        """Search for faces and lettering."""
        sightings = search(for_search(frame))
        first = not self._looks or self._looks[-1].scene != self._scene
        self._look_us = time_us + (_SOON_US if first else _LOOK_US)
        self._looks.append(_Look(len(self._glimpses), self._scene, sightings))
        self._text.look(len(self._glimpses), picture, time_us)
        surest = max(sightings, key=lambda s: (s.score >= SURE, s.box.width), default=None)
        if surest:
            self._follower = Follower(small, surest.box)

    def _mouth_moved(self, picture: NDArray[np.uint8], small: NDArray[np.uint8]) -> float | None:
        box = self._follower.follow(small) if self._follower else None
        if box is None:
            self._follower = self._mouth = None
            return None
        before, self._mouth = self._mouth, mouth(picture, box)
        return None if before is None else motion(self._mouth, before)

    def _faces(self) -> list[tuple[Box, ...]]:
        """For each look, what the looks at the same shot agree on."""
        settled: list[tuple[Box, ...]] = []
        for _, shot in groupby(self._looks, key=lambda look: look.scene):
            looks = list(shot)
            times_us = [self._glimpses[look.glimpse].time_us for look in looks]
            settled += settle([look.sightings for look in looks], times_us)
        return settled


def shrink(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A (height, width) picture made smaller by a whole number, to about 64,000 pixels."""
    import cv2

    factor = max(1, round(sqrt(picture.size / _AREA)))
    height, width = (side // factor for side in picture.shape)
    if factor == 1 or not height or not width:
        return picture
    part = picture[: height * factor, : width * factor]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _level(picture: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and standard deviation of the brightness, of 1."""
    import cv2

    mean, deviation = cv2.meanStdDev(picture)
    return float(mean[0, 0]) / 255, float(deviation[0, 0]) / 255


def difference(picture: NDArray[np.uint8], before: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(8, 8) mean absolute difference of two pictures of one size, part by part, 0 to 1."""
    import cv2

    changed = cv2.absdiff(picture, before).astype(np.float32)
    return np.asarray(cv2.resize(changed, (8, 8), interpolation=cv2.INTER_AREA), np.float64) / 255
