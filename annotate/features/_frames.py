"""Reads the frames of a clip at a constant rate, for the vision extractors."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.errors import MediaError
from annotate.orientation import Turner, upright_filters


def frames(path: Path, per_second: float, width: int, form: str) -> Iterator[NDArray[np.uint8]]:
    """The frames shown at 0, 1/per_second, ... seconds, upright and at most `width` wide.

    `form` is ``gray`` for (height, width), ``rgb24`` or ``bgr24`` for (height, width, 3).
    Raises `MediaError` when the file cannot be decoded.
    """
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            due, first, turner = 0.0, None, None
            for frame in container.decode(stream):
                first = frame.time if first is None else first
                if frame.time is None or frame.time - (first or 0.0) < due - 1e-6:
                    continue
                due += 1 / per_second
                # A clip that was copied without encoding has the display matrix of its source.
                turner = turner or Turner(upright_filters(frame))
                shown = turner(frame)
                scale = min(1.0, width / shown.width)
                across, down = (max(2, round(side * scale)) for side in (shown.width, shown.height))
                small = shown.reformat(width=across, height=down, format=form)
                yield np.asarray(small.to_ndarray(), np.uint8)
    except (OSError, IndexError, av.FFmpegError) as error:
        raise MediaError(f"{path} cannot be decoded: {error}", code="broken") from error
