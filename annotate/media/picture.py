"""Makes decoded pictures fit for a browser: upright, square pixels, one size, 8-bit yuv420p."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.orientation import Filters, Turner, copy_colours, swaps_sides

if TYPE_CHECKING:
    import av


class Upright:
    """Scales and turns pictures to one size; the source may change its own size on the way."""

    def __init__(self, size: tuple[int, int], filters: Filters) -> None:
        """`size` is (width, height) of the upright picture, `filters` what turns the stored one upright."""
        width, height = size
        self._flat = (height, width) if swaps_sides(filters) else (width, height)
        self._turner = Turner(filters)

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The picture as it shall be; the same frame if nothing is to be done."""
        if (frame.width, frame.height, frame.format.name) != (*self._flat, "yuv420p"):
            frame = self._scaled(frame)
        return self._turner(frame)

    def _scaled(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        width, height = self._flat
        # One thread: with more, the encoder was seen to get other bytes from one run to the next.
        made = frame.reformat(
            width, height, "yuv420p", dst_color_range="MPEG", interpolation="BICUBIC", threads=1
        )
        copy_colours(frame, made)
        made.color_range = 1  # limited
        return made


def gray(frame: "av.VideoFrame") -> NDArray[np.uint8]:
    """(height, width) brightness of a yuv420p picture."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    return np.ascontiguousarray(rows[: frame.height, : frame.width])
