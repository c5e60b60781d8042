"""What a check may know of a sample, and what it says about it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.types.speech import Segment


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a picture; all four are shares of the picture's width and height, 0 to 1."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class FrameSample:
    """What was measured in one frame of a clip; about twelve frames a second are sampled."""

    time_us: int
    """From the video's start."""
    brightness: float
    """Mean, 0 (black) to 1."""
    contrast: float
    """Standard deviation of the brightness, 0 to 0.5."""
    change: float | None = None
    """Mean absolute difference in brightness from the sampled frame before, 0 to 1, in that of 8 x 8
    blocks of the frame that changed most; None for the first."""
    faces: tuple[Box, ...] | None = None
    """The largest first; None where the frame was not searched for faces."""
    mouth: float | None = None
    """How much the mouth of the largest face moved since the sampled frame before, 80 ms earlier, 0 to
    1; None where unknown."""
    onscreen_text: tuple[Box, ...] | None = None
    """A box around each line of burnt-in text; None where the frame was not searched for text."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything a check may know of one sample."""

    segment: Segment
    wave: NDArray[np.float32]
    """(samples,) of the sample alone, 16 kHz mono in [-1, 1]."""
    speech: tuple[tuple[int, int], ...]
    """Where a voice was heard, in microseconds from the video's start."""
    frame_samples: tuple[FrameSample, ...] = ()
    """In order; few, or those of key pictures only, when the clip was cut without decoding it."""
    noise: float = 0.0
    """Root mean square of the video's own background, between the voices."""
    language: str = ""
    """Of the transcript, when its source tells."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a measured value must be for its sample to be used. Nothing said means: anything goes."""

    min: float | None = None
    max: float | None = None
    allow: tuple[str, ...] = ()
    """Of a value that is a word: those that pass; empty means all."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check measured on a sample, and what its rule says about it."""

    name: str
    value: float | str | None
    """None where it could not be told; that passes."""
    passed: bool
    reason: str = ""
