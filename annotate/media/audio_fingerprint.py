"""Fingerprints of sound: numbers that two recordings of the same sound share many of.

Landmarks after Wang (2003, "An industrial-strength audio search algorithm"), but of three spectral peaks
instead of two: triples are rarer, so that a few in common, at the same distance in time, already mean the
same sound among millions of clips. Of all triples those with the smallest hash are kept (min-wise sampling,
Broder 1997), so that two clips keep the same ones also where one is longer. Level does not matter, and
coding, mild noise and a cut at another moment spare enough of them; another take of the same sentence
shares none.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

_RATE = 16_000
_WINDOW, _HOP = 1024, 256
"""Samples: 64 ms, every 16 ms."""
_BINS = slice(13, 256)
"""Frequency bins of 15.6 Hz: 0.2 to 4 kHz, which every codec preserves."""
_AROUND = (4, 6)
"""A peak is the highest of so many windows and bins on each side."""
_PEAKS = 30
"""Per second, the loudest."""
_FAN, _FAR, _WIDE = 4, 40, 40
"""Limits of a combination of peaks: number of following peaks, distance in windows, distance in bins."""
_KEPT = 96
_TIME_BITS = 12


def audio_fingerprint(wave: NDArray[np.float32]) -> tuple[int, ...]:
    """Fingerprint of 16 kHz mono audio: at most 96 numbers, in ascending order of hash; empty for silence."""
    if len(wave) < 2 * _WINDOW or float(np.abs(wave).max()) < 1e-3:
        return ()
    times, bins = _peaks(wave)
    times_of_keys: dict[int, int] = {}
    for first in range(len(times)):
        near = [
            other for other in range(first + 1, min(first + 1 + 4 * _FAN, len(times)))
            if 2 <= times[other] - times[first] <= _FAR and abs(bins[other] - bins[first]) <= _WIDE
        ][:_FAN]  # fmt: skip
        for second, third in combinations(near, 2):
            times_of_keys.setdefault(_key(times, bins, first, second, third), times[first])
    kept = sorted(times_of_keys, key=_hash)[:_KEPT]
    return tuple(key << _TIME_BITS | times_of_keys[key] & (1 << _TIME_BITS) - 1 for key in kept)


def _peaks(wave: NDArray[np.float32]) -> tuple[list[int], list[int]]:
    """Window and bin of the loudest local peaks of the spectrogram, in order of time."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, _WINDOW)[::_HOP]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), axis=1))[:, _BINS]
    highest = spectrum
    for axis, reach in enumerate(_AROUND):
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(2)]
        around = np.lib.stride_tricks.sliding_window_view(np.pad(highest, pad), 2 * reach + 1, axis=axis)
        highest = around.max(axis=-1)
    times, bins = np.nonzero((spectrum == highest) & (spectrum > 1e-6 * spectrum.max()))
    loudest = np.argsort(-spectrum[times, bins], kind="stable")[: 1 + _PEAKS * len(wave) // _RATE]
    order = np.sort(loudest)
    return times[order].tolist(), bins[order].tolist()


def _key(times: list[int], bins: list[int], first: int, second: int, third: int) -> int:
    """Pitch of a peak, and relative pitch and distance of two others, quantised to survive cuts."""
    key = bins[first] // 2
    for other in (second, third):
        key = key << 6 | ((bins[other] - bins[first]) // 2 + 32)
        key = key << 5 | (times[other] - times[first]) // 2
    return key


def _hash(key: int) -> int:
    """Mix the bits (after SplitMix64), so that the selection of keys does not depend on pitch."""
    key = (key * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    key ^= key >> 29
    return (key * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF


def key_of(number: int) -> int:
    """A number of a fingerprint without its time, by which recordings are compared; at most 29 bits."""
    return number >> _TIME_BITS


def in_common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many keys two fingerprints share, at the distance in time at which they share the most."""
    mask = (1 << _TIME_BITS) - 1
    times = {key_of(number): number & mask for number in other}
    shifts = sorted((n & mask) - times[key_of(n)] for n in one if key_of(n) in times)
    best, first = 0, 0
    for last, shift in enumerate(shifts):
        while shift - shifts[first] > 2:
            first += 1
        best = max(best, last - first + 1)
    return best
