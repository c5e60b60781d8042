"""Makes burnt-in text unreadable in a clip without sound, so that the words do not reach the vision pass."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.media.clip import ClipEncoder
from annotate.media.cut import CutSample
from annotate.media.files import write_atomic
from annotate.media.lettering import lasting, lines
from annotate.media.picture import gray
from annotate.types import Box, Glimpse, SampleMedia

if TYPE_CHECKING:
    import av

_MARGIN = 0.5
"""Of the height of the highest line, above and below all lines: tails of letters, shadows, outlines."""
_TRIES = 3
_LOOK_SECONDS = 0.5


def hide_lettering(media: SampleMedia, made: CutSample) -> CutSample:
    """Write the silent clip of a sample anew where text was seen in it."""
    silent = media.silent.read_bytes()
    hidden = without_lettering(silent, made.glimpses)
    if hidden is silent:
        return made
    return replace(made, sha256={**made.sha256, "V": write_atomic(media.silent, hidden)})


def without_lettering(silent: bytes, glimpses: Sequence[Glimpse]) -> bytes:
    """The clip with the rows blurred in which text was seen; the very same bytes where none was.

    All columns are blurred, for another line may be longer, and all pictures. What is still found afterwards
    is blurred too.
    """
    found = [line for glimpse in glimpses for line in glimpse.lettering or ()]
    made = silent
    for _ in range(_TRIES if found else 0):
        made = blurred(silent, found)
        left = seen_lines(made)
        if not left:
            break
        found += left
    return made


def seen_lines(clip: bytes) -> list[Box]:
    """The lines of text in a clip, those of each look after the other."""
    looks, next_look = [], 0.0
    for frame in _pictures(clip):
        if (frame.time or 0.0) >= next_look:
            next_look = (frame.time or 0.0) + _LOOK_SECONDS
            looks.append(lines(gray(frame)))
    return [line for look in lasting(looks) for line in look]


def blurred(clip: bytes, found: Sequence[Box]) -> bytes:
    """The pictures of a clip, with the rows around the lines `found` blurred; no sound."""
    import av

    with av.open(io.BytesIO(clip), "r") as source:
        video = source.streams.video[0]
        fps, size = Fraction(video.average_rate or 25), (video.width, video.height)
    # The encoder wants sound; it is thrown away.
    encoder = ClipEncoder(fps, size, (16_000, 1))
    for frame in _pictures(clip):
        encoder.picture(_blurred(frame, found))
    return encoder.finish(np.zeros((1, 1600), np.float32))[1]


def _pictures(clip: bytes) -> Iterator["av.VideoFrame"]:
    import av

    with av.open(io.BytesIO(clip), "r") as source:
        source.streams.video[0].codec_context.thread_count = 1
        yield from source.decode(source.streams.video[0])


def _blurred(frame: "av.VideoFrame", found: Sequence[Box]) -> "av.VideoFrame":
    import av

    planes = np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)
    height, width = frame.height, frame.width
    line = max(box.height for box in found)
    top = min(box.top for box in found) - _MARGIN * line
    bottom = max(box.top + box.height for box in found) + _MARGIN * line
    _blur(planes[:height], top, bottom, line)
    # Both colour planes lie behind the brightness, half as wide and half as high.
    colour = planes[height:].reshape(2, height // 2, width // 2)
    for plane in colour:
        _blur(plane, top, bottom, line)
    made = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    made.colorspace, made.color_range = frame.colorspace, frame.color_range
    made.color_primaries, made.color_trc = frame.color_primaries, frame.color_trc
    return made


def _blur(plane: NDArray[np.uint8], top: float, bottom: float, line: float) -> None:
    """Leave one value for each square as high as a line of text, in place; three are shares of the height."""
    import cv2

    height, width = plane.shape
    first, last = max(0, int(top * height)), min(height, int(np.ceil(bottom * height)))
    cell = max(2, round(line * height))
    coarse = (max(1, width // cell), max(1, (last - first) // cell))
    mosaic = cv2.resize(plane[first:last], coarse, interpolation=cv2.INTER_AREA)
    plane[first:last] = cv2.resize(mosaic, (width, last - first), interpolation=cv2.INTER_LINEAR)
