"""What a voice sounds like, in numbers that add up: the mean and spread of its spectrum."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples per second of every wave here."""
FRAME, HOP, FFT = 400, 160, 512
"""25 ms, every 10 ms."""
BANDS = 32
COEFFICIENTS = 20
"""Of the cosine transform of the bands, the first (loudness) left out."""
LOW_HZ, HIGH_HZ = 80.0, 7600.0
QUIET_DB = 25.0
"""Frames so far below the loud ones are pauses."""
SILENCE_DB = -60.0
"""Below full scale: so quiet a frame is no voice, however quiet the rest."""
BLOCK = 4096
"""Frames that are transformed at once, so that a long sample needs little memory."""
FLOOR = 1e-2
"""Added to the spread in each direction, so that a few frames have a volume."""


@dataclass(frozen=True, slots=True)
class Voice:
    """The sums over the frames of one or more samples; those of two voices together are their sums."""

    frames: int
    total: NDArray[np.float64]
    """(COEFFICIENTS,)"""
    products: NDArray[np.float64]
    """(COEFFICIENTS, COEFFICIENTS) sum of the outer products."""

    def __add__(self, other: "Voice") -> "Voice":
        return Voice(self.frames + other.frames, self.total + other.total, self.products + other.products)


def voice_of(wave: NDArray[np.float32]) -> Voice:
    """The voice in one sample: (samples,) at `RATE`, pauses left out. No frames when it is too short."""
    spectra = cepstrum(wave)
    return Voice(len(spectra), spectra.sum(axis=0), spectra.T @ spectra)


def cepstrum(wave: NDArray[np.float32]) -> NDArray[np.float64]:
    """(frames, COEFFICIENTS) mel-frequency cepstral coefficients of the frames that are no pause.

    Davis and Mermelstein 1980.
    """
    if len(wave) < FRAME:
        return np.zeros((0, COEFFICIENTS))
    power = [_power(wave[at * HOP : (at + BLOCK - 1) * HOP + FRAME]) for at in range(0, _count(wave), BLOCK)]
    bands = np.concatenate([block @ _filters().T for block in power])
    # The sum over the frequencies as the mean square of the wave, by Parseval's theorem.
    scale = 2 / (FFT * np.square(np.hamming(FRAME)).sum())
    loud = 10 * np.log10(np.concatenate([block.sum(axis=1) for block in power]) * scale + 1e-12)
    heard = loud > SILENCE_DB
    if not heard.any():
        return np.zeros((0, COEFFICIENTS))
    kept = bands[heard & (loud > np.percentile(loud[heard], 95) - QUIET_DB)]
    return np.asarray(np.log(kept + 1e-8) @ _cosines().T)


def _count(wave: NDArray[np.float32]) -> int:
    return (len(wave) - FRAME) // HOP + 1


def _power(wave: NDArray[np.float32]) -> NDArray[np.float64]:
    """(frames, FFT / 2 + 1) power of each frequency."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, FRAME)[::HOP] * np.hamming(FRAME)
    return np.asarray(np.abs(np.fft.rfft(frames, FFT)) ** 2)


def _filters() -> NDArray[np.float64]:
    """(BANDS, FFT / 2 + 1) triangles, evenly spaced on the mel scale."""
    low, high = 2595 * np.log10(1 + np.array([LOW_HZ, HIGH_HZ]) / 700)
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    at = np.linspace(0, RATE / 2, FFT // 2 + 1)[None]
    rising = (at - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - at) / np.diff(edges)[1:, None]
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None))


def _cosines() -> NDArray[np.float64]:
    """(COEFFICIENTS, BANDS)"""
    band, order = np.arange(BANDS) + 0.5, np.arange(1, COEFFICIENTS + 1)
    return np.cos(np.pi / BANDS * order[:, None] * band[None])


def volumes(
    frames: NDArray[np.float64], totals: NDArray[np.float64], products: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) frames times the log determinant of the spread, for n voices whose sums are stacked."""
    mean = totals / frames[:, None]
    spread = products / frames[:, None, None] - mean[:, :, None] * mean[:, None, :]
    return np.asarray(frames * np.linalg.slogdet(spread + FLOOR * np.eye(COEFFICIENTS))[1])
