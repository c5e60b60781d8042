"""What a face looks like and how it moves, without a network."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.features._frames import frames
from annotate.registry import extractor
from annotate.types import Modality, SampleSource

_PER_SECOND = 5
_WIDTH = 320
_FACE = 64
"""Side of the face picture in pixels."""
_HOG = 144
_LEAST = 0.12
"""Share of the picture's shorter side below which a face is not looked for."""

Box = tuple[int, int, int]
"""Left, top and side in pixels."""


@extractor("face-motion")
class FaceMotion:
    """Face box, its gradients (Dalal & Triggs 2005) and optical flow (Farnebäck 2003), 5 frames a second."""

    modality = Modality.VISION
    dim = 1 + 3 + 3 + _HOG + 8
    version = "1"

    def __init__(self, model: str = "") -> None:
        """`model` is not used: the detector (Viola & Jones 2001) comes with OpenCV."""

    def extract(self, source: SampleSource) -> NDArray[np.float32]:
        """(frames, dim): presence, box (x, y, side), its motion, gradients, flow of upper and lower half.

        A frame without a face is a row of zeros; a clip without one is a single row.
        Raises `MediaError` when the clip cannot be decoded.
        """
        detect, hog = _Detector(), _hog()
        rows: list[NDArray[np.float32]] = []
        before: tuple[Box, NDArray[np.uint8]] | None = None
        for picture in frames(source.media.silent, _PER_SECOND, _WIDTH, "gray"):
            box = detect(picture, before[0] if before else None)
            rows.append(np.zeros(self.dim, np.float32) if box is None else _row(picture, box, before, hog))
            before = None if box is None else (box, picture)
        seen = any(row[0] for row in rows)
        return np.stack(rows) if seen else np.zeros((1, self.dim), np.float32)


class _Detector:
    """Finds the largest face, near the last one first. Not shared: OpenCV's is not safe between threads."""

    def __init__(self) -> None:
        import cv2

        folder = cv2.data.haarcascades  # type: ignore[attr-defined]
        self._cascade = cv2.CascadeClassifier(folder + "haarcascade_frontalface_default.xml")

    def __call__(self, picture: NDArray[np.uint8], last: Box | None) -> Box | None:
        if last is not None:
            x, y, side = last
            left, top = max(0, x - side // 2), max(0, y - side // 2)
            window = picture[top : y + side + side // 2, left : x + side + side // 2]
            near = self._largest(window, side * 3 // 4)
            if near is not None:
                return near[0] + left, near[1] + top, near[2]
        return self._largest(picture, int(min(picture.shape) * _LEAST))

    def _largest(self, picture: NDArray[np.uint8], least: int) -> Box | None:
        found = self._cascade.detectMultiScale(
            np.ascontiguousarray(picture), scaleFactor=1.1, minNeighbors=5, minSize=(least, least)
        )
        boxes = sorted((int(w), -int(x), -int(y)) for x, y, w, _ in found)
        return (-boxes[-1][1], -boxes[-1][2], boxes[-1][0]) if boxes else None


def _hog() -> Any:
    """Four by four cells of nine directions over the face."""
    import cv2

    return cv2.HOGDescriptor((_FACE, _FACE), (32, 32), (32, 32), (16, 16), 9)


def _row(
    picture: NDArray[np.uint8], box: Box, before: tuple[Box, NDArray[np.uint8]] | None, hog: Any
) -> NDArray[np.float32]:
    place = _place(picture, box)
    moved = place - _place(picture, before[0]) if before else np.zeros(3, np.float32)
    face = _crop(picture, box)
    # Both pictures are cut with the new box, so that only what moves in the face remains beside `moved`.
    flow = _flow(_crop(before[1], box), face) if before else np.zeros(8, np.float32)
    return np.concatenate([np.ones(1, np.float32), place, moved, hog.compute(face).ravel(), flow])


def _place(picture: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
    """Centre of the box from the middle of the picture, and log side, in picture widths."""
    (x, y, side), (height, width) = box, picture.shape
    return np.array(
        [(x + side / 2) / width - 0.5, (y + side / 2 - height / 2) / width, np.log(side / width)], np.float32
    )


def _crop(picture: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The face, 64 x 64, its brightness evened out."""
    import cv2

    x, y, side = box
    face = cv2.resize(picture[y : y + side, x : x + side], (_FACE, _FACE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.equalizeHist(face), np.uint8)


def _flow(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(8,) mean x, mean y, mean speed and its deviation, upper then lower half; in face widths."""
    import cv2

    nothing: Any = None
    flow = cv2.calcOpticalFlowFarneback(before, after, nothing, 0.5, 2, 13, 2, 5, 1.1, 0) / _FACE
    halves = (flow[: _FACE // 2].reshape(-1, 2), flow[_FACE // 2 :].reshape(-1, 2))
    speeds = [np.linalg.norm(half, axis=1) for half in halves]
    return np.concatenate(
        [[*half.mean(axis=0), speed.mean(), speed.std()] for half, speed in zip(halves, speeds, strict=True)]
    ).astype(np.float32)
