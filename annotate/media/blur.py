"""Blurs burnt-in text in the silent clip, so that the raters of the vision pass cannot read the words."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from annotate.media.clip import ClipEncoder
from annotate.media.cut import CutSample
from annotate.media.files import write_atomic
from annotate.media.frames import gray
from annotate.media.onscreen_text import FROM, lasting, lines
from annotate.orientation import copy_colours
from annotate.types import Box, FrameSample, SampleMedia

if TYPE_CHECKING:
    import av

_MARGIN = 0.5
"""Share of the height of the highest line that is hidden above and below all lines: descenders, shadows and
outlines."""
_SEARCH_SECONDS = 0.5


def hide_onscreen_text(media: SampleMedia, sample: CutSample) -> CutSample:
    """Rewrite the silent clip of a sample in which text is detected, and return the sample with its new hash.

    The clip is searched more often than the checks need, because a line that is shown for half a second is
    enough to give words away.
    """
    silent = media.silent.read_bytes()
    without_text = without_onscreen_text(silent, sample.frame_samples)
    if without_text is silent:
        return sample
    return replace(sample, sha256={**sample.sha256, "V": write_atomic(media.silent, without_text)})


def without_onscreen_text(silent: bytes, frame_samples: Sequence[FrameSample]) -> bytes:
    """The clip with the rows that show text hidden in all frames; the same object where there is no text.

    Rows are hidden over the whole width, because another line may be longer. The result is searched again:
    rows that still show lines are hidden too, and a mosaic that did not suffice is replaced by row means.
    """
    lines_to_hide = [line for sample in frame_samples for line in sample.onscreen_text or ()]
    clip, remaining = silent, [*lines_to_hide, *text_lines(silent)]
    for by_row_means in (False, True, True):
        if not remaining:
            break
        lines_to_hide += remaining
        clip = hide_rows(silent, lines_to_hide, by_row_means=by_row_means)
        remaining = text_lines(clip)
    if remaining:
        clip = hide_rows(silent, [Box(0.0, FROM, 1.0, 1.0 - FROM)], by_row_means=True)
    return clip


def text_lines(clip: bytes) -> list[Box]:
    """The lines of text in a clip, in order of the searched frames."""
    searches, next_search = [], 0.0
    for frame in _frames(clip):
        if (frame.time or 0.0) >= next_search:
            next_search = (frame.time or 0.0) + _SEARCH_SECONDS
            searches.append(lines(gray(frame)))
    return [line for lines_found in lasting(searches) for line in lines_found]


def hide_rows(clip: bytes, text: Sequence[Box], *, by_row_means: bool) -> bytes:
    """The clip, without sound, with the rows around the lines `text` hidden in every frame.

    The rows become a mosaic of squares as high as a line, or with `by_row_means` each row gets its mean.
    """
    import av

    with av.open(io.BytesIO(clip), "r") as source:
        video = source.streams.video[0]
        fps, size = Fraction(video.average_rate or 25), (video.width, video.height)
    # The encoder needs sound; its output with sound is thrown away.
    encoder = ClipEncoder(fps, size, (16_000, 1))
    for frame in _frames(clip):
        encoder.add_frame(_with_hidden_rows(frame, text, by_row_means))
    return encoder.finish(np.zeros((1, 1600), np.float32))[1]


def _frames(clip: bytes) -> Iterator["av.VideoFrame"]:
    import av

    with av.open(io.BytesIO(clip), "r") as source:
        source.streams.video[0].codec_context.thread_count = 1
        yield from source.decode(source.streams.video[0])


def _with_hidden_rows(frame: "av.VideoFrame", text: Sequence[Box], by_row_means: bool) -> "av.VideoFrame":
    import av
    import cv2

    planes = np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)
    height, width = frame.height, frame.width
    line = max(box.height for box in text)
    top = min(box.top for box in text) - _MARGIN * line
    bottom = max(box.top + box.height for box in text) + _MARGIN * line
    # Both chroma planes follow the luma plane, half as wide and half as high.
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    for plane in (planes[:height], *chroma):
        first, last = (
            max(0, int(top * plane.shape[0])),
            min(plane.shape[0], int(np.ceil(bottom * plane.shape[0]))),
        )
        rows = plane[first:last]
        if by_row_means:
            rows[:] = rows.mean(axis=1, keepdims=True)
        else:
            # The mean of each square, smoothed between squares.
            cell = max(2, round(line * plane.shape[0]))
            coarse = (max(1, rows.shape[1] // cell), max(1, rows.shape[0] // cell))
            mosaic = cv2.resize(rows, coarse, interpolation=cv2.INTER_AREA)
            rows[:] = cv2.resize(mosaic, rows.shape[::-1], interpolation=cv2.INTER_LINEAR)
    hidden = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    copy_colours(frame, hidden)
    return hidden
