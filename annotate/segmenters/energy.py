"""Voice activity detection by level above the background: fast, for clean recordings."""

import numpy as np
from numpy.typing import NDArray

from annotate.registry import segmenter
from annotate.segmenters._level import block_power
from annotate.segmenters._runs import bridge, speech_runs
from annotate.types import Footage, LengthRules, Segment, Speech

_FRAME = 320
"""Samples of 16 kHz: 20 ms."""
_STEP_US = 20_000
_SECOND = 50
"""Frames."""
_SILENCE_DB = -70.0
_ABOVE_DB = {"near": 10.0, "far": 6.0}
"""Preset -> level above the background at which voicing is 0.5."""
_SLOPE_DB = 3.0
_BRIDGE = 8
"""Frames; shorter gaps are bridged, such as the closure of a plosive."""
_BLIP = 5
"""Frames; shorter runs, such as clicks, are dropped."""


@segmenter("energy")
class Energy:
    """Loudness above a background that follows the recording (minimum statistics, Martin 2001).

    An utterance is a stretch that is louder than the background of the five seconds around it. Cheap, for
    clean recordings: it takes any noise for a voice.
    """

    def __init__(self, *, preset: str = "near") -> None:
        self.above = _ABOVE_DB[preset]

    def segment(self, footage: Footage, lengths: LengthRules) -> Speech:
        """The spans that are louder than their background, and the voicing of each 20 ms, 0 to 1."""
        level = 10 * np.log10(np.maximum(block_power(footage.wave, _FRAME), 1e-12))
        above = level - background_db(level) - self.above
        voicing = (1 / (1 + np.exp(-above / _SLOPE_DB))).astype(np.float32)
        runs = [r for r in bridge(speech_runs(voicing, 0.5, 0.35), _BRIDGE) if r[1] - r[0] >= _BLIP]
        # The last frame may be incomplete.
        end_us = len(footage.wave) * 1_000_000 // 16_000
        segments = tuple(Segment(a * _STEP_US, min(b * _STEP_US, end_us)) for a, b in runs)
        return Speech(segments, voicing=voicing, step_us=_STEP_US)


def background_db(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """(frames,) dB -> (frames,) background level in dB: the tenth percentile within five seconds."""
    if not len(level):
        return level
    seconds = np.array_split(level, max(1, len(level) // _SECOND))
    quiet = np.array([np.percentile(part, 10) for part in seconds])
    low = np.array([quiet[max(0, n - 5) : n + 6].min() for n in range(len(quiet))])
    at = np.repeat(low, [len(part) for part in seconds])
    return np.maximum(at, _SILENCE_DB)
