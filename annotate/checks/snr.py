"""Signal-to-noise ratio of speech."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import check
from annotate.types import Observed

_FRAME = 320
"""Samples: 20 ms, shorter than the closure of a stop, so speech without a pause has quiet frames too."""
_QUIET = 10
"""Percentile of the frames' power that counts as background: there is some in every utterance."""
DIGITAL_SILENCE = 1e-10
"""Mean square below which a frame counts as digital silence instead of background: -100 dB."""


@check("snr")
class SignalToNoise:
    """Signal-to-noise ratio: level of the speech above the background (after NIST's STNR)."""

    unit = "dB"
    low = "noise or music under the speech"
    high = "suspiciously clean"

    def measure(self, observed: Observed) -> float | None:
        """-20 to 80; None for digital silence.

        The background is the quieter of two: the quiet frames of the sample, and the video's own background
        between the voices. The first alone takes speech without a pause for its own background, the second
        alone music elsewhere in the video.
        """
        powers = frame_powers(observed.wave)
        powers = powers[powers > DIGITAL_SILENCE]
        if not len(powers):
            return None
        levels = [float(np.percentile(powers, _QUIET))]
        if observed.noise**2 > DIGITAL_SILENCE:
            levels.append(observed.noise**2)
        background = min(levels)
        # The loud half is speech; the quieter half holds pauses and soft consonants.
        loud = float(powers[powers >= np.median(powers)].mean())
        return float(np.clip(10 * np.log10(max(loud - background, 1e-12) / background), -20.0, 80.0))


def frame_powers(wave: NDArray[np.float32]) -> NDArray[np.float64]:
    """(frames,) mean square of each 20 ms of 16 kHz mono."""
    whole = wave[: len(wave) // _FRAME * _FRAME].reshape(-1, _FRAME)
    # Summed without a square of the whole, which can be hours long.
    return np.einsum("ij,ij->i", whole, whole, dtype=np.float64) / _FRAME
