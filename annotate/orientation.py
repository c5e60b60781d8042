"""Turns frames upright according to their display matrix, by the rules of FFmpeg's autorotate."""

from math import atan2, degrees, floor, hypot, isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av

Filters = tuple[str, ...]
"""FFmpeg filters in order of application; empty for frames that are shown as stored."""

TURNS: dict[Filters, int] = {
    (): 0,
    ("transpose=cclock",): 90,
    ("hflip", "vflip"): 180,
    ("transpose=clock",): 270,
}
"""Counter-clockwise degrees of the filters that rotate a frame without mirroring it."""


def upright_filters(frame: "av.VideoFrame") -> Filters:
    """The filters that apply the display matrix of a decoded frame, from the container or from H.264.

    They cover all eight orientations, mirrored ones included, and other angles in whole degrees. A degenerate
    matrix (with a zero column) has no effect. The rules are those of ffmpeg's ``-autorotate`` (the calls of
    `insert_filter` in fftools/ffmpeg_filter.c), so that clips look as they do in common players.
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
    """Rotation of the matrix (a, b; c, d) in whole degrees, 0 to 359; NaN if a column is zero."""
    first, second = hypot(a, c), hypot(b, d)
    if not first or not second:
        return nan
    exact = degrees(atan2(b / second, a / first))
    nearest = floor(abs(exact) + 0.5) * (1 if exact >= 0 else -1)
    return nearest % 360


def swaps_sides(filters: Filters) -> bool:
    """Whether the filters swap width and height."""
    return any(step.startswith("transpose") for step in filters)


class Turner:
    """Applies the filters of `upright_filters` to frames."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._shape: tuple[int, int, str] | None = None
        self._graph: Any = None

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The upright frame; the same object if there are no filters."""
        if not self._filters:
            return frame
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            self._graph, self._shape = self._build(frame), shape
        self._graph.push(frame)
        upright: av.VideoFrame = self._graph.pull()
        # The filters drop the colour properties.
        copy_colours(frame, upright)
        return upright

    def _build(self, frame: "av.VideoFrame") -> Any:
        import av

        graph = av.filter.Graph()
        # One thread: the result must not depend on the number of processors, which workers share anyway.
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        nodes = [source]
        # `vflip` alone only sets a negative line size; `copy` reorders the rows for readers of planes.
        for step in (*self._filters, "copy") if self._filters == ("vflip",) else self._filters:
            name, _, arguments = step.partition("=")
            nodes.append(graph.add(name, arguments or None))
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        return graph


def copy_colours(source: "av.VideoFrame", target: "av.VideoFrame") -> None:
    """Copy colour space, range, primaries and transfer function to a frame derived from `source`."""
    target.colorspace, target.color_range = source.colorspace, source.color_range
    target.color_primaries, target.color_trc = source.color_primaries, source.color_trc
