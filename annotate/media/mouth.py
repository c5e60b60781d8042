"""Tracks a face between two searches, and measures how much its mouth moves."""

import numpy as np
from numpy.typing import NDArray

from annotate.types import Box

WIDE, HIGH = 40, 28
"""Size in pixels at which mouths are compared."""
_SIDE = 32
"""Approximate width in pixels of a face while it is tracked."""
_LOST = 0.5
"""Correlation with the detected face below which tracking has lost it."""
_FLAT = 8.0
"""Added to the standard deviation of a mouth (out of 255), so that noise counts for little."""


class FaceTracker:
    """Tracks a face from frame to frame by its eyes and nose, which hardly change in speech."""

    def __init__(self, picture: NDArray[np.uint8], face: Box) -> None:
        """`picture`, (height, width), is the frame in which `face` was detected."""
        self._factor = max(1, round(face.width * picture.shape[1] / _SIDE))
        small = _shrunk(picture, self._factor)
        self._box, self._shape = face, small.shape
        height, width = small.shape
        # From the brows to the tip of the nose.
        left, top = ((face.left + 0.15 * face.width) * width, (face.top + 0.2 * face.height) * height)
        wide, high = round(face.width * width * 0.7), round(face.height * height * 0.45)
        x, y = max(0, round(left)), max(0, round(top))
        self._pattern = _Pattern(small[y : y + high, x : x + wide])
        self._at = (float(x), float(y))
        self._start = self._at

    def track(self, picture: NDArray[np.uint8]) -> Box | None:
        """The box of the face in the next frame; None once tracking has lost it."""
        small = _shrunk(picture, self._factor)
        high, wide = self._pattern.shape
        reach = max(3, wide // 5)
        x, y = (max(0, round(at) - reach) for at in self._at)
        window = small[y : y + high + 2 * reach, x : x + wide + 2 * reach]
        if small.shape != self._shape or window.shape[0] < high or window.shape[1] < wide:
            return None
        match = self._pattern.match(window)
        dy, dx = np.unravel_index(int(match.argmax()), match.shape)
        if not match[dy, dx] >= _LOST:
            return None
        self._at = (x + dx + _between(match[dy], int(dx)), y + dy + _between(match[:, dx], int(dy)))
        moved = [
            (now - then) / side
            for now, then, side in zip(self._at, self._start, small.shape[::-1], strict=True)
        ]
        return Box(self._box.left + moved[0], self._box.top + moved[1], self._box.width, self._box.height)


class _Pattern:
    """Template matching in a small window; OpenCV's function has a high fixed cost."""

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        self.shape = picture.shape
        flat = picture.astype(np.float32).ravel()
        flat -= flat.mean() if flat.size else 0.0
        self._flat = flat / max(float(np.linalg.norm(flat)), 1e-6)

    def match(self, window: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(rows, columns) correlation with the template at each position of the window, -1 to 1."""
        places = np.lib.stride_tricks.sliding_window_view(window.astype(np.float32), self.shape)
        flat = places.reshape(-1, len(self._flat))
        # The template has mean 0, so the mean of the window does not matter in the numerator.
        squares = np.einsum("ij,ij->i", flat, flat) - np.square(flat.sum(axis=1)) / max(len(self._flat), 1)
        correlation = flat @ self._flat / np.sqrt(np.maximum(squares, 1e-6))
        return np.asarray(correlation.reshape(places.shape[:2]), np.float32)


def _shrunk(picture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    import cv2

    if factor == 1:
        return picture
    size = (picture.shape[1] // factor, picture.shape[0] // factor)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _between(row: NDArray[np.float32], at: int) -> float:
    """Offset of the peak of a parabola through the best value and its neighbours."""
    if not 0 < at < len(row) - 1:
        return 0.0
    before, here, after = (float(v) for v in row[at - 1 : at + 2])
    bend = before - 2 * here + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


def mouth(picture: NDArray[np.uint8], face: Box) -> NDArray[np.float32]:
    """(HIGH, WIDE) mouth region of a face in a (height, width) frame, with mean 0 and deviation about 1."""
    import cv2

    height, width = picture.shape
    scale = face.width * width * 0.5 / WIDE
    x, y = (face.left + 0.25 * face.width) * width, (face.top + 0.62 * face.height) * height
    # Large faces are averaged down first, because sampling every few pixels would flicker.
    factor = max(1, round(scale))
    left, top = max(0, int(x)), max(0, int(y))
    part = picture[top : int(y + HIGH * scale) + 2, left : int(x + WIDE * scale) + 2]
    if min(part.shape) < 2 * factor:
        return np.zeros((HIGH, WIDE), np.float32)
    part = _shrunk(part[: part.shape[0] // factor * factor, : part.shape[1] // factor * factor], factor)
    turn = np.array([[scale / factor, 0, (x - left) / factor], [0, scale / factor, (y - top) / factor]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    made = cv2.warpAffine(part, turn, (WIDE, HIGH), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    flat = np.asarray(made, np.float32)
    return np.asarray((flat - flat.mean()) / (flat.std() + _FLAT), np.float32)


def motion(mouth: NDArray[np.float32], before: NDArray[np.float32]) -> float:
    """How much a mouth moved between two frames, 0 to 1; about 0.05 at rest, 0.3 in speech."""
    return min(1.0, float(np.abs(mouth - before).mean()))
