"""What a check reads of a sample, and the result that it returns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.types.speech import Segment


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a frame; all four values are shares of the frame's width or height, 0 to 1."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class FrameSample:
    """Measurements of one frame of a clip; about twelve frames per second are sampled."""

    time_us: int
    """Microseconds from the start of the video."""
    brightness: float
    """Mean, 0 (black) to 1."""
    contrast: float
    """Standard deviation of the brightness, 0 to 0.5."""
    change: float | None = None
    """Largest mean absolute difference in brightness to the previous sampled frame, 0 to 1, over 8 x 8 blocks
    of the frame; None for the first frame."""
    faces: tuple[Box, ...] | None = None
    """Largest first; None if the frame was not searched for faces."""
    mouth: float | None = None
    """Movement of the mouth of the largest face since the previous sampled frame, 80 ms earlier, 0 to 1; None
    if unknown."""
    onscreen_text: tuple[Box, ...] | None = None
    """A box around each line of burnt-in text; None if the frame was not searched for text."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a check may read of one sample."""

    segment: Segment
    wave: NDArray[np.float32]
    """(samples,) audio of the sample alone, 16 kHz mono in [-1, 1]."""
    speech: tuple[tuple[int, int], ...]
    """Voice activity: (start, end) in microseconds from the start of the video."""
    frame_samples: tuple[FrameSample, ...] = ()
    """In order; only a few, or only keyframes, if the clip was cut without decoding."""
    noise: float = 0.0
    """Root mean square of the video's background noise, between stretches of speech."""
    language: str = ""
    """Language of the transcript, if its source states it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Bounds that a measured value must satisfy for its sample to be used; without bounds, any value does."""

    min: float | None = None
    max: float | None = None
    allow: tuple[str, ...] = ()
    """Words that pass, for a value that is a word; empty: all."""

    def describe(self) -> str:
        """The values that pass, such as ``0.9 to 10.5``, ``>= 0.3`` or ``en or zh``."""
        if self.allow:
            return " or ".join(self.allow)
        if self.min is not None and self.max is not None:
            return f"{self.min:g} to {self.max:g}"
        if self.min is not None:
            return f">= {self.min:g}"
        return "any" if self.max is None else f"<= {self.max:g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The value that a check measured on a sample, and whether its rule accepts it."""

    name: str
    value: float | str | None
    """None if it could not be measured; that passes."""
    passed: bool
    reason: str = ""
