"""Makes decoded pictures fit for a browser: upright, square pixels, one size, 8-bit yuv420p."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

_TURNS = {90: ("transpose=cclock",), 180: ("hflip", "vflip"), 270: ("transpose=clock",)}
"""By degrees counter-clockwise."""


class Upright:
    """Scales and turns pictures to one size; the source may change its own size on the way."""

    def __init__(self, size: tuple[int, int], rotation: int) -> None:
        self._turns = _TURNS.get(rotation, ())
        width, height = size
        self._flat = (height, width) if rotation in (90, 270) else (width, height)
        self._graph: Any = None

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The picture as it shall be; the same frame if nothing is to be done."""
        if (frame.width, frame.height, frame.format.name) != (*self._flat, "yuv420p"):
            frame = self._scaled(frame)
        return self._turned(frame) if self._turns else frame

    def _scaled(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        width, height = self._flat
        # One thread: with more, the encoder was seen to get other bytes from one run to the next.
        made = frame.reformat(
            width, height, "yuv420p", dst_color_range="MPEG", interpolation="BICUBIC", threads=1
        )
        _copy_colours(frame, made)
        made.color_range = 1  # limited
        return made

    def _turned(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        if self._graph is None:
            self._graph = self._build(frame)
        self._graph.push(frame)
        made: av.VideoFrame = self._graph.pull()
        # The filters forget what the colours mean.
        _copy_colours(frame, made)
        return made

    def _build(self, frame: "av.VideoFrame") -> Any:
        import av

        graph = av.filter.Graph()
        nodes = [
            graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            )
        ]
        for step in self._turns:
            name, _, arguments = step.partition("=")
            nodes.append(graph.add(name, arguments or None))
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        return graph


def _copy_colours(source: "av.VideoFrame", made: "av.VideoFrame") -> None:
    made.colorspace, made.color_range = source.colorspace, source.color_range
    made.color_primaries, made.color_trc = source.color_primaries, source.color_trc


def gray(frame: "av.VideoFrame") -> NDArray[np.uint8]:
    """(height, width) brightness of a yuv420p picture."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    return np.ascontiguousarray(rows[: frame.height, : frame.width])
