"""Acoustic features of a voice: spectrum, pitch, loudness."""

import numpy as np
from numpy.typing import NDArray

from annotate.errors import MediaError
from annotate.registry import extractor
from annotate.types import Modality, SampleSource

_RATE = 16_000
_HOP = 160
"""10 ms."""
_WINDOW = 640
"""40 ms: two periods of the lowest voice."""
_POOLED = 10
"""Hops per frame of the result: ten frames per second."""
_MELS = 40
_LOWEST_HZ, _HIGHEST_HZ = 60, 420
"""Range of the fundamental frequency of a voice."""
_SILENT = 1e-4
"""A peak below this (-80 dBFS) counts as silence."""
_QUIET = np.log(1e-6)
"""Log mean square (-60 dBFS) below which no pitch is reported, so that a hum is not taken for a voice."""
_BLOCK = 6000
"""Hops per block, one minute: bounds the memory a long clip takes."""


@extractor("voice-stats")
class VoiceStats:
    """Log-mel spectrum, pitch, loudness and spectral shape, 10 rows per second (Eyben et al. 2016).

    Mean and deviation over 100 ms of 40 mel bands, pitch, voicing, loudness, spectral centroid, bandwidth,
    roll-off and flux.
    """

    modality = Modality.AUDIO
    dim = 2 * (_MELS + 7)
    version = "1"

    def __init__(self, model: str = "") -> None:
        """`model` is not used: nothing here is pretrained."""

    def extract(self, source: SampleSource) -> NDArray[np.float32]:
        """(frames, dim): mean and standard deviation over 100 ms; one row of zeros for silence.

        Raises `MediaError` when the sound cannot be read.
        """
        wave = read_wave(source)
        if not has_sound(wave):
            return np.zeros((1, self.dim), np.float32)
        padded = np.pad(wave, (_WINDOW // 2, _WINDOW + _POOLED * _HOP))
        frames = -(-len(wave) // (_POOLED * _HOP))
        windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][: frames * _POOLED]
        low = np.concatenate([_describe(windows[i : i + _BLOCK]) for i in range(0, len(windows), _BLOCK)])
        # Flux: the change of the spectrum from one hop to the next.
        low[1:, -1] = np.sqrt(np.mean(np.diff(low[:, :_MELS], axis=0) ** 2, axis=1))
        pooled = low.reshape(frames, _POOLED, -1)
        return np.concatenate([pooled.mean(axis=1), pooled.std(axis=1)], axis=1).astype(np.float32)


def read_wave(source: SampleSource) -> NDArray[np.float32]:
    """The audio of the sample: 16 kHz mono in [-1, 1].

    Raises `MediaError` when the file is missing, damaged, or has another rate.
    """
    import soundfile

    path = source.media.audio
    try:
        wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise MediaError(f"{path} cannot be read: {error}", code="broken") from error
    if rate != _RATE:
        raise MediaError(f"{path} has {rate} samples per second, not {_RATE}", code="broken")
    return np.ascontiguousarray(wave.mean(axis=1))


def has_sound(wave: NDArray[np.float32]) -> bool:
    """Whether the audio is more than digital silence."""
    return bool(np.abs(wave).max(initial=0) >= _SILENT)


def _describe(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(hops, mels + 7) of (hops, window); the last column, flux, is left at zero."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centred * _TAPER, 1024)) ** 2
    energy = np.log(np.mean(centred**2, axis=1) + 1e-8)
    mels = np.log(power @ _MEL_BANK + 1e-6)
    pitch, voicing = _pitch(power)
    pitch = np.where(energy > _QUIET, pitch, 0)
    # Centroid, bandwidth and 85 % roll-off, in kHz.
    share = power / (power.sum(axis=1, keepdims=True) + 1e-9)
    centroid = share @ _KHZ
    bandwidth = np.sqrt(np.maximum(share @ _KHZ**2 - centroid**2, 0))
    rolloff = _KHZ[(np.cumsum(share, axis=1) < 0.85 * share.sum(axis=1, keepdims=True)).sum(axis=1)]
    columns = [mels, pitch, voicing, energy, centroid, bandwidth, rolloff, np.zeros(len(mels))]
    return np.column_stack(columns).astype(np.float32)


def _pitch(power: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fundamental in octaves above 60 Hz (0 when unvoiced), and how periodic the sound is (0 to 1).

    The autocorrelation is divided by that of the window, which removes its decay (Boersma 1993).
    """
    lags = np.fft.irfft(power, 1024)[:, : _RATE // _LOWEST_HZ + 1]
    normal = lags / np.maximum(lags[:, :1], 1e-9) / _TAPER_LAGS[: lags.shape[1]]
    shortest = _RATE // _HIGHEST_HZ
    # A slight preference for short lags prevents octave errors.
    candidates = normal[:, shortest:] * np.linspace(1, 0.9, normal.shape[1] - shortest)
    best = candidates.argmax(axis=1) + shortest
    voicing = np.clip(normal[np.arange(len(best)), best], 0, 1)
    octaves = np.log2(_RATE / best / _LOWEST_HZ)
    return np.where(voicing > 0.5, octaves, 0).astype(np.float32), voicing.astype(np.float32)


def _mel_bank() -> NDArray[np.float32]:
    """(bins, mels) triangles of equal width on the mel scale, 60 Hz to 7.6 kHz."""
    lowest, highest = (2595 * np.log10(1 + hertz / 700) for hertz in (60, 7600))
    edges = np.linspace(lowest, highest, _MELS + 2)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    bins = (1000 * _KHZ)[:, None]
    rising = (bins - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    falling = (hertz[2:] - bins) / (hertz[2:] - hertz[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


_KHZ = (np.arange(513) * _RATE / 1024 / 1000).astype(np.float32)
_TAPER = np.hanning(_WINDOW).astype(np.float32)
_TAPER_LAGS = np.fft.irfft(np.abs(np.fft.rfft(_TAPER, 2048)) ** 2)[:512].astype(np.float32)
_TAPER_LAGS /= _TAPER_LAGS[0]
_MEL_BANK = _mel_bank()
