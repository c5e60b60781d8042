"""Finds faces in pictures (Viola and Jones, 2001; OpenCV's packaged cascade), and doubts those seen once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.types import Box

_SURE = 4.0
"""Score of the cascade's last stage from which one look is enough."""
_LIKELY = 1.5
"""Score that at least one of several looks at the same face has to reach."""
_SAME = 0.3
"""Share of the area of two boxes together that they have in common when they are one face."""
_LEAST = 24
"""Pixels: what the cascade was trained on, and less shows a rater nothing."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What may be a face."""

    box: Box
    score: float
    """How far above the threshold of the cascade's last stage; true faces mostly reach 4."""


def search(gray: NDArray[np.uint8]) -> tuple[Sighting, ...]:
    """What may be faces in a small (height, width) picture, the largest first."""
    return _found(gray, max(_LEAST, min(gray.shape) // 8), 0, (0, 0), gray.shape)


def search_near(gray: NDArray[np.uint8], known: Sequence[Sighting]) -> tuple[Sighting, ...]:
    """The same, far sooner, but only where faces are known to have been a moment ago."""
    found: list[Sighting] = []
    height, width = gray.shape
    for box in (s.box for s in known):
        left, right = (round(width * x) for x in (box.left - box.width / 3, box.left + box.width * 4 / 3))
        top, bottom = (round(height * y) for y in (box.top - box.height / 3, box.top + box.height * 4 / 3))
        left, top = max(0, left), max(0, top)
        window = np.ascontiguousarray(gray[top:bottom, left:right])
        side = box.width * width
        found += _found(window, max(_LEAST, round(side * 0.75)), round(side * 1.3), (left, top), gray.shape)
    return _without_doubles(found)


def settle(looks: Sequence[Sequence[Sighting]]) -> list[tuple[Box, ...]]:
    """The faces of each look at one scene, the largest first.

    What is seen once and faintly is dropped; what is missed once between two sightings at one place is kept.
    """
    filled = [list(look) for look in looks]
    for before, here, after in zip(looks, filled[1:], looks[2:], strict=False):
        here += [s for s in before if _partner(s, after) and not _partner(s, here)]
    return [
        tuple(s.box for s in _without_doubles([s for s in here if _believed(s, filled, n)]))
        for n, here in enumerate(filled)
    ]


def _believed(sighting: Sighting, looks: Sequence[Sequence[Sighting]], n: int) -> bool:
    others = [_partner(sighting, looks[k]) for k in (n - 1, n + 1) if 0 <= k < len(looks)]
    scores = [o.score for o in others if o]
    return max([sighting.score, *scores]) >= (_LIKELY if scores else _SURE)


def _partner(sighting: Sighting, others: Sequence[Sighting]) -> Sighting | None:
    return next((o for o in others if overlap(sighting.box, o.box) > _SAME), None)


def overlap(one: Box, other: Box) -> float:
    """The area that two boxes share / the area of both together."""
    wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    common = max(0.0, wide) * max(0.0, high)
    return common / (one.width * one.height + other.width * other.height - common)


def _without_doubles(found: Sequence[Sighting]) -> tuple[Sighting, ...]:
    """The largest first, without what lies on, or hangs below, one that is larger and surer.

    Chin, throat and collar together look much like a small face.
    """
    kept: list[Sighting] = []
    for s in sorted(found, key=lambda s: (-s.score, s.box.left, s.box.top)):
        if not any(_belongs_to(s.box, k.box) for k in kept):
            kept.append(s)
    return tuple(sorted(kept, key=lambda s: (-s.box.width * s.box.height, s.box.left, s.box.top)))


def _belongs_to(box: Box, face: Box) -> bool:
    x, y = box.left + box.width / 2 - face.left, box.top + box.height / 2 - face.top
    return 0 < x < face.width and 0 < y < 1.7 * face.height and box.width < 1.5 * face.width


def _found(
    gray: NDArray[np.uint8], least: int, most: int, at: tuple[int, int], whole: tuple[int, ...]
) -> tuple[Sighting, ...]:
    """In a window of a picture of the shape `whole`, from `least` to `most` pixels wide (0: any)."""
    boxes, _, scores = _cascade().detectMultiScale3(
        gray, scaleFactor=1.25, minNeighbors=3, minSize=(least, least), maxSize=(most, most),
        outputRejectLevels=True,
    )  # fmt: skip
    high, wide = whole
    sighted = [
        Sighting(Box((x + at[0]) / wide, (y + at[1]) / high, w / wide, h / high), score)
        for (x, y, w, h), score in zip(
            np.reshape(boxes, (-1, 4)).tolist(), np.ravel(scores).tolist(), strict=True
        )
    ]
    return _without_doubles(sighted)


@cache
def _cascade() -> Any:
    import cv2

    # Worker processes share the processor already.
    cv2.setNumThreads(1)
    folder = Path(cv2.__file__).parent / "data"
    return cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))
