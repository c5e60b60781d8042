"""Detects faces in one image with YuNet (Wu, Peng and Yu 2023).

The network was trained on faces at any angle: it also detects faces in profile, behind a hand, looking down
or in dim light. Its weights (MIT licence) lie in `annotate/weights`, where ATTRIBUTION.md names their origin;
OpenCV runs them.
"""

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import AnnotateError
from annotate.types import Box

SURE = 0.6
"""Score above which a face counts on its own."""
LIKELY = 0.35
"""Score above which a face counts if a detection above `SURE` is at the same place at another time."""
_LEAST = 1 / 14
"""Smallest side of a face as a share of the image's shorter side: smaller faces show a rater nothing."""
_DIM, _BRIGHT, _MOST_GAIN = 140, 235, 4.0
"""An image whose 99th percentile of brightness is below `_DIM` is brightened to `_BRIGHT`."""
_SIDE = 0.95
"""Side of the square around a face divided by the height of YuNet's box."""
_LOG_ERRORS = 2
"""OpenCV's number of the log level that leaves warnings out."""
_WEIGHTS = Path(__file__).parent / "weights" / "face_detection_yunet_2023mar.onnx"


@dataclass(frozen=True, slots=True)
class Detection:
    """A possible face."""

    box: Box
    """A square from the brows to the chin or slightly larger; it may extend beyond the image."""
    score: float
    """0 to 1; see `SURE` and `LIKELY`."""


def search(picture: NDArray[np.uint8]) -> tuple[Detection, ...]:
    """Possible faces in a small (height, width, 3) BGR image, the largest first.

    Raises `AnnotateError` when the file of the network is missing.
    """
    height, width = picture.shape[:2]
    network = _network()
    network.setInputSize((width, height))
    _, faces = network.detect(_brightened(picture))
    detections = []
    for x, y, wide, high, *_, score in () if faces is None else faces.tolist():
        side = _SIDE * high
        if side < _LEAST * min(width, height):
            continue
        left, top = x + (wide - side) / 2, y + (high - side) / 2
        box = Box(left / width, top / height, side / width, side / height)
        detections.append(Detection(box, score))
    return tuple(sorted(detections, key=lambda s: (-s.box.width, s.box.left, s.box.top)))


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    common = max(0.0, wide) * max(0.0, high)
    return common / (one.width * one.height + other.width * other.height - common)


def _brightened(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image; a dim one is brightened by a factor of at most four."""
    import cv2

    brightest = float(np.percentile(picture[::4, ::4], 99))
    if brightest >= _DIM:
        return picture
    gain = min(_MOST_GAIN, _BRIGHT / max(brightest, 1.0))
    return np.asarray(cv2.convertScaleAbs(picture, alpha=gain), np.uint8)


def _network() -> Any:
    """YuNet for this thread, because OpenCV networks may not be shared between threads."""
    if not hasattr(_LOCAL, "network"):
        import cv2

        # Worker processes share the processor already.
        cv2.setNumThreads(1)
        # OpenCV 5 warns that its new engine ignores the target device, which nobody has set.
        logging = getattr(cv2.utils, "logging", cv2)  # OpenCV 4 has the function in the top module
        level = logging.setLogLevel(_LOG_ERRORS)
        try:
            # Passed as bytes, because OpenCV cannot open every path that Windows allows.
            _LOCAL.network = cv2.FaceDetectorYN.create(
                "onnx", _weights(), np.zeros(0, np.uint8), (320, 320), LIKELY, 0.3, 100
            )
        finally:
            logging.setLogLevel(level)
    return _LOCAL.network


_LOCAL = threading.local()


@cache
def _weights() -> NDArray[np.uint8]:
    """The bytes of the network's file."""
    try:
        return np.frombuffer(_WEIGHTS.read_bytes(), np.uint8)
    except OSError as error:
        raise AnnotateError(
            f"the weights of the face detector cannot be read: {error}",
            hint="pip install --force-reinstall --no-deps annotate-clips",
        ) from error
