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
from annotate.media.lettering import FROM, lasting, lines
from annotate.media.picture import gray
from annotate.types import Box, Glimpse, SampleMedia

if TYPE_CHECKING:
    import av

_MARGIN = 0.5
"""Of the height of the highest line, above and below all lines: tails of letters, shadows, outlines."""
_LOOK_SECONDS = 0.5


def hide_lettering(media: SampleMedia, made: CutSample) -> CutSample:
    """Write the silent clip of a sample anew where text is seen in it.

    The clip is searched again, more often than the checks need it: a line that stands for half a second is
    enough to give words away.
    """
    silent = media.silent.read_bytes()
    hidden = without_lettering(silent, made.glimpses)
    if hidden is silent:
        return made
    return replace(made, sha256={**made.sha256, "V": write_atomic(media.silent, hidden)})


def without_lettering(silent: bytes, glimpses: Sequence[Glimpse]) -> bytes:
    """The clip with the rows hidden in which text stands; the very same bytes where none does.

    All columns are hidden, for another line may be longer, and all pictures. The result is searched again:
    rows in which lines are still found are hidden too, and what a mosaic left is evened out.
    """
    found = [line for glimpse in glimpses for line in glimpse.lettering or ()]
    made, left = silent, [*found, *seen_lines(silent)]
    for even in (False, True, True):
        if not left:
            break
        found += left
        made = hidden(silent, found, even=even)
        left = seen_lines(made)
    if left:
        made = hidden(silent, [Box(0.0, FROM, 1.0, 1.0 - FROM)], even=True)
    return made


def seen_lines(clip: bytes) -> list[Box]:
    """The lines of text in a clip, those of each look after the other."""
    looks, next_look = [], 0.0
    for frame in _pictures(clip):
        if (frame.time or 0.0) >= next_look:
            next_look = (frame.time or 0.0) + _LOOK_SECONDS
            looks.append(lines(gray(frame)))
    return [line for look in lasting(looks) for line in look]


def hidden(clip: bytes, found: Sequence[Box], *, even: bool) -> bytes:
    """The pictures of a clip, with the rows around the lines `found` hidden; no sound.

    They become a mosaic of squares as high as a line, or, where `even`, each row takes its own mean.
    """
    import av

    with av.open(io.BytesIO(clip), "r") as source:
        video = source.streams.video[0]
        fps, size = Fraction(video.average_rate or 25), (video.width, video.height)
    # The encoder wants sound; it is thrown away.
    encoder = ClipEncoder(fps, size, (16_000, 1))
    for frame in _pictures(clip):
        encoder.picture(_without(frame, found, even))
    return encoder.finish(np.zeros((1, 1600), np.float32))[1]


def _pictures(clip: bytes) -> Iterator["av.VideoFrame"]:
    import av

    with av.open(io.BytesIO(clip), "r") as source:
        source.streams.video[0].codec_context.thread_count = 1
        yield from source.decode(source.streams.video[0])


def _without(frame: "av.VideoFrame", found: Sequence[Box], even: bool) -> "av.VideoFrame":
    import av

    planes = np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)
    height, width = frame.height, frame.width
    line = max(box.height for box in found)
    top = min(box.top for box in found) - _MARGIN * line
    bottom = max(box.top + box.height for box in found) + _MARGIN * line
    # Both colour planes lie behind the brightness, half as wide and half as high.
    colour = planes[height:].reshape(2, height // 2, width // 2)
    for plane in (planes[:height], *colour):
        first, last = (
            max(0, int(top * plane.shape[0])),
            min(plane.shape[0], int(np.ceil(bottom * plane.shape[0]))),
        )
        if even:
            plane[first:last] = plane[first:last].mean(axis=1, keepdims=True)
        else:
            _mosaic(plane[first:last], max(2, round(line * plane.shape[0])))
    made = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    made.colorspace, made.color_range = frame.colorspace, frame.color_range
    made.color_primaries, made.color_trc = frame.color_primaries, frame.color_trc
    return made


def _mosaic(rows: NDArray[np.uint8], cell: int) -> None:
    """Leave one value for each square of `cell` pixels, in place."""
    import cv2

    high, wide = rows.shape
    coarse = (max(1, wide // cell), max(1, high // cell))
    mosaic = cv2.resize(rows, coarse, interpolation=cv2.INTER_AREA)
    rows[:] = cv2.resize(mosaic, (wide, high), interpolation=cv2.INTER_LINEAR)
