"""Makes decoded pictures fit for a browser: upright, square pixels, one size, 8-bit yuv420p."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

_TURNS = {90: ("transpose=cclock",), 180: ("hflip", "vflip"), 270: ("transpose=clock",)}
"""By degrees counter-clockwise."""


class Upright:
    """Turns and scales pictures to one size; the source may change its own size on the way."""

    def __init__(self, size: tuple[int, int], rotation: int) -> None:
        self._size = size
        self._turns = _TURNS.get(rotation, ())
        self._key: tuple[int, int, str] | None = None
        self._graph: Any = None

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The picture as a new frame."""
        key = (frame.width, frame.height, frame.format.name)
        if key != self._key:
            self._key, self._graph = key, self._build(frame)
        self._graph.push(frame)
        made: av.VideoFrame = self._graph.pull()
        return made

    def _build(self, frame: "av.VideoFrame") -> Any:
        import av

        graph = av.filter.Graph()
        width, height = self._size
        steps = [
            *self._turns, f"scale={width}:{height}:out_range=tv", "setsar=1", "format=yuv420p",
        ]  # fmt: skip
        nodes = [
            graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            )
        ]
        for step in steps:
            name, _, arguments = step.partition("=")
            nodes.append(graph.add(name, arguments or None))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        return graph


def gray(frame: "av.VideoFrame") -> NDArray[np.uint8]:
    """(height, width) brightness of a yuv420p picture."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    return np.ascontiguousarray(rows[: frame.height, : frame.width])
