"""Statistics of a voice that can be added: mean and covariance of its cepstrum."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples per second of every wave here."""
FRAME, HOP, FFT = 400, 160, 512
"""25 ms, every 10 ms."""
BANDS = 32
COEFFICIENTS = 20
"""Number of cepstral coefficients, without the first (loudness)."""
LOW_HZ, HIGH_HZ = 80.0, 7600.0
QUIET_DB = 25.0
"""Level below the loud frames under which a frame is a pause."""
SILENCE_DB = -60.0
"""Level relative to full scale under which a frame is never voice."""
BLOCK = 4096
"""Number of frames that are transformed at once, to limit memory."""
FLOOR = 1e-2
"""Added to the variance in each direction, so that the covariance of few frames is invertible."""


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
    """(frames, COEFFICIENTS) mel-frequency cepstral coefficients of the frames outside pauses.

    Davis and Mermelstein 1980.
    """
    if len(wave) < FRAME:
        return np.zeros((0, COEFFICIENTS))
    count = (len(wave) - FRAME) // HOP + 1
    power = []
    for at in range(0, count, BLOCK):
        part = wave[at * HOP : (at + BLOCK - 1) * HOP + FRAME]
        frames = np.lib.stride_tricks.sliding_window_view(part, FRAME)[::HOP] * np.hamming(FRAME)
        power.append(np.abs(np.fft.rfft(frames, FFT)) ** 2)
    bands = np.concatenate([block @ _filters().T for block in power])
    # The sum over the frequencies as the mean square of the wave, by Parseval's theorem.
    scale = 2 / (FFT * np.square(np.hamming(FRAME)).sum())
    loud = 10 * np.log10(np.concatenate([block.sum(axis=1) for block in power]) * scale + 1e-12)
    audible = loud > SILENCE_DB
    if not audible.any():
        return np.zeros((0, COEFFICIENTS))
    kept = bands[audible & (loud > np.percentile(loud[audible], 95) - QUIET_DB)]
    band, order = np.arange(BANDS) + 0.5, np.arange(1, COEFFICIENTS + 1)
    cosines = np.cos(np.pi / BANDS * order[:, None] * band[None])
    return np.asarray(np.log(kept + 1e-8) @ cosines.T)


def _filters() -> NDArray[np.float64]:
    """(BANDS, FFT / 2 + 1) triangles, evenly spaced on the mel scale."""
    low, high = 2595 * np.log10(1 + np.array([LOW_HZ, HIGH_HZ]) / 700)
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    at = np.linspace(0, RATE / 2, FFT // 2 + 1)[None]
    rising = (at - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - at) / np.diff(edges)[1:, None]
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None))


def volumes(
    frames: NDArray[np.float64], totals: NDArray[np.float64], products: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) frames times the log determinant of the covariance, for n voices whose sums are stacked."""
    mean = totals / frames[:, None]
    spread = products / frames[:, None, None] - mean[:, :, None] * mean[:, None, :]
    return np.asarray(frames * np.linalg.slogdet(spread + FLOOR * np.eye(COEFFICIENTS))[1])
