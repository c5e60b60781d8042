"""Appearance and motion of a face by classical features."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.features._frames import frames
from annotate.features._oriented_gradients import SIDE, SIZE, oriented_gradients
from annotate.registry import extractor
from annotate.types import Box, Modality, SampleSource
from annotate.yunet import SURE, overlap, search

_PER_SECOND = 5
_WIDTH = 320
_SAME = 0.25
"""Intersection over union with the face in the previous frame from which it is the same face."""

Square = tuple[int, int, int]
"""Left, top and side in pixels."""


@extractor("face-motion")
class FaceMotion:
    """Face box, gradients and optical flow, 5 rows per second (Dalal & Triggs 2005; Farnebäck 2003).

    Whether there is a face (YuNet, Wu et al. 2023), its box and motion, histograms of gradients in it, and
    optical flow.
    """

    modality = Modality.VISION
    dim = 1 + 3 + 3 + SIZE + 8
    version = "2"

    def __init__(self, model: str = "") -> None:
        """`model` is not used: there is one detector, YuNet (Wu et al. 2023)."""

    def extract(self, source: SampleSource) -> NDArray[np.float32]:
        """(frames, dim): presence, box (x, y, side), its motion, gradients, flow of upper and lower half.

        A frame without a face is a row of zeros; a clip without one is a single row.
        Raises `MediaError` when the clip cannot be decoded.
        """
        import cv2

        rows: list[NDArray[np.float32]] = []
        before: tuple[Square, NDArray[np.uint8]] | None = None
        for colour in frames(source.media.silent, _PER_SECOND, _WIDTH, "bgr24"):
            box = _face(colour, before[0] if before else None)
            picture = np.asarray(cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY), np.uint8)
            rows.append(np.zeros(self.dim, np.float32) if box is None else _row(picture, box, before))
            before = None if box is None else (box, picture)
        has_face = any(row[0] for row in rows)
        return np.stack(rows) if has_face else np.zeros((1, self.dim), np.float32)


def _face(picture: NDArray[np.uint8], last: Square | None) -> Square | None:
    """The face tracked from the previous frame, else the largest one in a (height, width, 3) BGR frame."""
    height, width = picture.shape[:2]
    detections = search(picture)
    if last is not None:
        x, y, side = last
        before = Box(x / width, y / height, side / width, side / height)
        near = [s for s in detections if overlap(s.box, before) > _SAME]
        if near:
            return _within(max(near, key=lambda s: s.score).box, height, width)
    sure = [s for s in detections if s.score >= SURE]
    return _within(sure[0].box, height, width) if sure else None


def _within(box: Box, height: int, width: int) -> Square:
    """The box in whole pixels, moved into the picture."""
    side = min(max(1, round(box.width * width)), height, width)
    left, top = round(box.left * width), round(box.top * height)
    return min(max(left, 0), width - side), min(max(top, 0), height - side), side


def _row(
    picture: NDArray[np.uint8], box: Square, before: tuple[Square, NDArray[np.uint8]] | None
) -> NDArray[np.float32]:
    place = _place(picture, box)
    moved = place - _place(picture, before[0]) if before else np.zeros(3, np.float32)
    face = _crop(picture, box)
    # Both frames are cropped with the new box, so that the flow holds only motion within the face.
    flow = _flow(_crop(before[1], box), face) if before else np.zeros(8, np.float32)
    return np.concatenate([np.ones(1, np.float32), place, moved, oriented_gradients(face), flow])


def _place(picture: NDArray[np.uint8], box: Square) -> NDArray[np.float32]:
    """Centre of the box relative to the centre of the frame, and log side, in frame widths."""
    (x, y, side), (height, width) = box, picture.shape
    return np.array(
        [(x + side / 2) / width - 0.5, (y + side / 2 - height / 2) / width, np.log(side / width)], np.float32
    )


def _crop(picture: NDArray[np.uint8], box: Square) -> NDArray[np.uint8]:
    """(SIDE, SIDE) the face with equalised brightness."""
    import cv2

    x, y, side = box
    face = cv2.resize(picture[y : y + side, x : x + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.equalizeHist(face), np.uint8)


def _flow(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(8,) mean x, mean y, mean speed and its deviation, upper then lower half; in face widths."""
    import cv2

    nothing: Any = None
    flow = cv2.calcOpticalFlowFarneback(before, after, nothing, 0.5, 2, 13, 2, 5, 1.1, 0) / SIDE
    halves = (flow[: SIDE // 2].reshape(-1, 2), flow[SIDE // 2 :].reshape(-1, 2))
    speeds = [np.linalg.norm(half, axis=1) for half in halves]
    return np.concatenate(
        [[*half.mean(axis=0), speed.mean(), speed.std()] for half, speed in zip(halves, speeds, strict=True)]
    ).astype(np.float32)
