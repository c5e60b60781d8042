"""Decodes small keyframes of a video, without decoding the frames between them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.media.audio import Clock, no_heartbeat, start_us
from annotate.media.source import moving_stream, open_source
from annotate.orientation import Turner, upright_filters

WIDTH = 160
"""Pixels; smaller frames keep their size."""
_INTERVAL_US = 500_000
"""No more than two keyframes a second are decoded, because in some codecs every frame is one."""


def keyframes(
    path: Path, heartbeat: Callable[[int], None] = no_heartbeat
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield (microseconds from the video's start, (height, width, 3) RGB) of upright keyframes, in order.

    Yields nothing for a file without a video stream, and skips damaged keyframes. `heartbeat` is called with
    the position in microseconds. Raises `MediaError` as `open_source` does.
    """
    from av.error import FFmpegError

    with open_source(path) as container:
        video = moving_stream(container)
        if video is None:
            return
        zero, clock = start_us(container), Clock(video, start_us(container))
        video.codec_context.thread_count = 1
        wanted_us, turner = 0, None
        for packet in container.demux(video):
            at = clock(packet)
            heartbeat(at or 0)
            # The last packet is empty: it flushes the decoder.
            if packet.size and (not packet.is_keyframe or at is None or at < wanted_us):
                continue
            wanted_us = (at or 0) + _INTERVAL_US
            try:
                frames = packet.decode()
            except FFmpegError:
                continue
            for frame in frames:
                if frame.time is not None and (time := round(frame.time * 1e6) - zero) >= 0:
                    turner = turner or Turner(upright_filters(frame))
                    width = min(WIDTH, frame.width)
                    height = max(1, frame.height * width // frame.width)
                    # Area averaging: with nearest-neighbour scaling noise would look like change.
                    small = frame.reformat(width, height, "rgb24", interpolation="AREA", threads=1)
                    yield time, np.asarray(turner(small).to_ndarray(), np.uint8)
