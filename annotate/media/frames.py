"""Converts decoded frames to what browsers show: upright, square pixels, one size, 8-bit yuv420p."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.orientation import Filters, Turner, copy_colours, swaps_sides

if TYPE_CHECKING:
    import av


class Upright:
    """Scales frames to one size and turns them upright; the size of the source may change midway."""

    def __init__(self, size: tuple[int, int], filters: Filters) -> None:
        """`size` is (width, height) of the upright frame; `filters` turn the stored frame upright."""
        width, height = size
        self._flat = (height, width) if swaps_sides(filters) else (width, height)
        self._turner = Turner(filters)

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The converted frame; the same object if nothing has to change."""
        width, height = self._flat
        if (frame.width, frame.height, frame.format.name) == (width, height, "yuv420p"):
            return self._turner(frame)
        # One thread: with more, the bytes differed from run to run.
        scaled = frame.reformat(
            width, height, "yuv420p", dst_color_range="MPEG", interpolation="BICUBIC", threads=1
        )
        copy_colours(frame, scaled)
        scaled.color_range = 1  # limited
        return self._turner(scaled)


def gray(frame: "av.VideoFrame") -> NDArray[np.uint8]:
    """(height, width) luma plane of a yuv420p frame."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    return np.ascontiguousarray(rows[: frame.height, : frame.width])
