"""Reads small key pictures of a video: what can be seen of it without decoding it all."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.media.sound import Clock, start_us, tell_nobody
from annotate.media.source import moving_stream, open_source
from annotate.orientation import Turner, upright_filters

if TYPE_CHECKING:
    import av

WIDTH = 160
"""Pixels; smaller pictures stay as they are."""
_APART_US = 500_000
"""Some codecs make every picture a key picture: no more than two in a second are decoded."""


def key_pictures(
    path: Path, alive: Callable[[int], None] = tell_nobody
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(microseconds from the video's start, (height, width, 3) RGB) in order, turned upright.

    None where the video has no moving picture. `alive` is called as `media.sound.listen` does.
    Raises `MediaError` as `open_source` does; a key picture that is damaged is left out.
    """
    with open_source(path) as container:
        video = moving_stream(container)
        if video is None:
            return
        zero, clock = start_us(container), Clock(video, start_us(container))
        video.codec_context.thread_count = 1
        wanted_us, turner = 0, None
        for packet in container.demux(video):
            at = clock(packet)
            alive(at or 0)
            # The last packet is empty: it asks for what the decoder still holds.
            if packet.size and (not packet.is_keyframe or at is None or at < wanted_us):
                continue
            wanted_us = (at or 0) + _APART_US
            for frame in _decoded(packet):
                if frame.time is not None and (time := round(frame.time * 1e6) - zero) >= 0:
                    turner = turner or Turner(upright_filters(frame))
                    yield time, _small(frame, turner)


def _decoded(packet: "av.Packet[av.VideoStream]") -> "list[av.VideoFrame]":
    from av.error import FFmpegError

    try:
        return packet.decode()
    except FFmpegError:
        return []


def _small(frame: "av.VideoFrame", turner: Turner) -> NDArray[np.uint8]:
    width = min(WIDTH, frame.width)
    height = max(1, frame.height * width // frame.width)
    # Averaged areas: single pixels would make every noise a change.
    small = frame.reformat(width, height, "rgb24", interpolation="AREA", threads=1)
    return np.asarray(turner(small).to_ndarray(), np.uint8)
