"""Turns pictures upright as the display matrix of their file says, by the rules of FFmpeg's autorotate."""

from math import atan2, degrees, floor, hypot, isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av

Filters = tuple[str, ...]
"""FFmpeg filters, to be applied in this order; none for a picture that is shown as it is stored."""

TURNS: dict[Filters, int] = {
    (): 0,
    ("transpose=cclock",): 90,
    ("hflip", "vflip"): 180,
    ("transpose=clock",): 270,
}
"""Degrees counter-clockwise of the filters that turn a picture without mirroring it."""


def upright_filters(frame: "av.VideoFrame") -> Filters:
    """The filters that show a decoded picture as its display matrix says: the file's, or H.264's own.

    All eight orientations, mirrored ones included, and other angles in whole degrees. A matrix that says
    nothing, because one of its columns is zero, turns nothing. The same rules as ffmpeg's ``-autorotate``
    (`insert_filter` calls of fftools/ffmpeg_filter.c), so that clips look as they do in common players.
    """
    from av.sidedata.sidedata import Type

    stored: Any = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    if stored is None:
        return ()
    a, b, _, c, d = np.frombuffer(stored, np.int32)[:5].tolist()
    angle = _clockwise_degrees(a, b, c, d)
    if angle == 90:
        return ("transpose=cclock_flip",) if c > 0 else ("transpose=clock",)
    if angle == 180:
        return (("hflip",) if a < 0 else ()) + (("vflip",) if d < 0 else ())
    if angle == 270:
        return ("transpose=clock_flip",) if c < 0 else ("transpose=cclock",)
    if isnan(angle) or angle <= 1:
        return ("vflip",) if angle == 0 and d < 0 else ()
    return (f"rotate={angle:.0f}*PI/180",)


def _clockwise_degrees(a: int, b: int, c: int, d: int) -> float:
    """By how many whole degrees (a, b; c, d) turns a picture, 0 to 359; NaN when a column is zero."""
    first, second = hypot(a, c), hypot(b, d)
    if not first or not second:
        return nan
    exact = degrees(atan2(b / second, a / first))
    nearest = floor(abs(exact) + 0.5) * (1 if exact >= 0 else -1)
    return nearest % 360


def swaps_sides(filters: Filters) -> bool:
    """Whether the upright picture is as wide as the stored one is high."""
    return any(step.startswith("transpose") for step in filters)


class Turner:
    """Applies the filters of `upright_filters` to pictures of one size and format."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._shape: tuple[int, int, str] | None = None
        self._graph: Any = None

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The upright picture; the same frame if nothing is to be done."""
        if not self._filters:
            return frame
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            self._graph, self._shape = self._build(frame), shape
        self._graph.push(frame)
        made: av.VideoFrame = self._graph.pull()
        # The filters forget what the colours mean.
        copy_colours(frame, made)
        return made

    def _build(self, frame: "av.VideoFrame") -> Any:
        import av

        graph = av.filter.Graph()
        # One thread: the number of processors must not matter, and workers share them already.
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        nodes = [source]
        # `vflip` alone only says that the rows lie in the other order; readers of planes want them in this.
        for step in (*self._filters, "copy") if self._filters == ("vflip",) else self._filters:
            name, _, arguments = step.partition("=")
            nodes.append(graph.add(name, arguments or None))
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        return graph


def copy_colours(source: "av.VideoFrame", made: "av.VideoFrame") -> None:
    """Mark a picture made of another with what that one's numbers mean as colours."""
    made.colorspace, made.color_range = source.colorspace, source.color_range
    made.color_primaries, made.color_trc = source.color_primaries, source.color_trc
