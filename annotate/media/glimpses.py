"""Looks at some pictures of a sample while it is cut, and notes what its checks need to know."""

from typing import TYPE_CHECKING

import numpy as np

from annotate.media.faces import faces
from annotate.media.picture import gray
from annotate.types import Glimpse

if TYPE_CHECKING:
    import av

EVERY_US = 500_000
"""About two pictures in a second are looked at."""


class Watcher:
    """Sees every picture of one sample, and looks at some."""

    def __init__(self) -> None:
        self._next_us = 0
        self._glimpses: list[Glimpse] = []

    def see(self, frame: "av.VideoFrame", time_us: int) -> None:
        """Take the next yuv420p picture, shown at `time_us` from the video's start."""
        if time_us < self._next_us:
            return
        self._next_us = time_us + EVERY_US
        picture = gray(frame)
        self._glimpses.append(Glimpse(
            time_us, brightness=float(picture.mean()) / 255, contrast=float(np.std(picture)) / 255,
            faces=faces(picture),
        ))  # fmt: skip

    def glimpses(self) -> tuple[Glimpse, ...]:
        """What was seen so far, in order."""
        return tuple(self._glimpses)
