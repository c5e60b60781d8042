"""Finds the faces in a picture (Viola and Jones, 2001; OpenCV's packaged cascade)."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.types import Box

_WIDTH = 320
"""Pictures are made this narrow first: small faces are of no use to a rater."""


def faces(gray: NDArray[np.uint8]) -> tuple[Box, ...]:
    """The faces in a (height, width) picture, the largest first."""
    import cv2

    height, width = gray.shape
    if width > _WIDTH:
        small = (_WIDTH, max(1, height * _WIDTH // width))
        gray = np.asarray(cv2.resize(gray, small, interpolation=cv2.INTER_AREA), np.uint8)
    high, wide = gray.shape
    least = max(24, min(gray.shape) // 8)
    found = _cascade().detectMultiScale(gray, scaleFactor=1.15, minNeighbors=4, minSize=(least, least))
    boxes = [
        Box(x / wide, y / high, w / wide, h / high) for x, y, w, h in np.reshape(found, (-1, 4)).tolist()
    ]
    return tuple(sorted(boxes, key=lambda b: (-b.width * b.height, b.left, b.top)))


@cache
def _cascade() -> Any:
    import cv2

    # Worker processes share the processor already.
    cv2.setNumThreads(1)
    folder = Path(cv2.__file__).parent / "data"
    return cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))
