"""Counts the pictures in which a face is seen (Viola and Jones, 2001; OpenCV's packaged cascade)."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.types import Check

_WIDTH = 320
"""Pictures are made this narrow first: small faces are of no use to a rater."""


class FaceCounter:
    """Looks at some pictures of a sample."""

    def __init__(self) -> None:
        self.looked = 0
        self.seen = 0

    def look(self, gray: NDArray[np.uint8]) -> None:
        """Count one (height, width) picture."""
        import cv2

        height, width = gray.shape
        if width > _WIDTH:
            small = (_WIDTH, max(1, height * _WIDTH // width))
            gray = np.asarray(cv2.resize(gray, small, interpolation=cv2.INTER_AREA), np.uint8)
        least = max(24, min(gray.shape) // 8)
        found = _cascade().detectMultiScale(gray, scaleFactor=1.15, minNeighbors=4, minSize=(least, least))
        self.looked += 1
        self.seen += len(found) > 0

    def check(self) -> Check:
        """Share of the pictures with a face; half of them pass."""
        share = self.seen / self.looked if self.looked else 0.0
        passed = share >= 0.5
        return Check("face", round(share, 4), passed, "" if passed else "no face in most pictures")


@cache
def _cascade() -> Any:
    import cv2

    # Worker processes share the processor already.
    cv2.setNumThreads(1)
    folder = Path(cv2.__file__).parent / "data"
    return cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))
