"""Whether the visible mouth moves in time with the voice."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.registry import check
from annotate.types import FrameSample, Observed

RATE = 16_000
WINDOW_US = 80_000
"""Length of the audio around each sampled frame."""
LAG = 2
"""Sampled frames by which mouth and voice may be offset: audio tracks are often a few frames off."""
FLOOR_DB = 35.0
"""Level below the loudest moment under which audio counts as silence."""
LEAST = 15
"""Fewest sampled frames (1.2 s): fewer correlate by chance."""
REST = 0.02
"""Added to the motion, so that its logarithm ignores differences between still mouths."""


@check("mouth-moves-with-voice")
class MouthMovesWithVoice:
    """Correlation of the mouth's motion with the loudness of the voice (Chandrasekaran et al. 2009).

    From -1 to 1; unknown unless a single face can be tracked for 1.2 s.
    """

    unit = "correlation"
    low = "the mouth does not move with the voice"
    high = "the mouth moves with the voice"

    def measure(self, observed: Observed) -> float | None:
        """-1 to 1, the best within 0.16 s of each other; None without a single face followed for 1.2 s."""
        counts = [len(g.faces) for g in observed.frame_samples if g.faces is not None]
        samples = [g for g in observed.frame_samples if g.mouth is not None]
        if sum(c == 1 for c in counts) * 2 < len(counts) or len(samples) < LEAST:
            return None
        voice = smooth(loudness(observed, samples))
        moved = smooth(np.log(np.array([g.mouth for g in samples], np.float64) + REST))
        return max(correlation(moved, voice, lag) for lag in range(-LAG, LAG + 1))


def loudness(observed: Observed, samples: Sequence[FrameSample]) -> NDArray[np.float64]:
    """(frames,) level of the audio around each sampled frame, in dB above the floor."""
    at = np.array([g.time_us - observed.segment.start_us for g in samples])
    power = np.concatenate([[0.0], np.cumsum(np.square(voiced(observed.wave)))])
    first, last = (
        np.clip((at + side) * RATE // 1_000_000, 0, len(power) - 1)
        for side in (-WINDOW_US // 2, WINDOW_US // 2)
    )
    level = 10 * np.log10((power[last] - power[first]) / np.maximum(last - first, 1) + 1e-12)
    return np.asarray(np.maximum(level - level.max() + FLOOR_DB, 0.0))


def voiced(wave: NDArray[np.float32]) -> NDArray[np.float64]:
    """Band-pass filter from about 150 to 4000 Hz, as a difference of moving averages."""
    sums = np.concatenate([[0.0], np.cumsum(wave, dtype=np.float64)])

    def mean(width: int) -> NDArray[np.float64]:
        first = np.clip(np.arange(len(wave)) - width // 2, 0, len(wave))
        last = np.clip(first + width, 0, len(wave))
        return np.asarray((sums[last] - sums[first]) / width)

    return mean(2) - mean(RATE // 220)


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moving average over three values."""
    return np.convolve(np.pad(values, 1, "edge"), np.full(3, 1 / 3), "valid")


def correlation(one: NDArray[np.float64], other: NDArray[np.float64], lag: int) -> float:
    """Pearson correlation of `one` with `other` at `lag` steps later; 0 if either is constant."""
    n = len(one)
    a, b = one[max(0, -lag) : n - max(0, lag)], other[max(0, lag) : n - max(0, -lag)]
    a, b = a - a.mean(), b - b.mean()
    both = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum()) / both if both > 1e-9 else 0.0
