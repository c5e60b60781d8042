"""What is known of each sample once it is cut, and what the checks measure on it."""

from collections.abc import Sequence

import numpy as np

from annotate.checks.snr import DIGITAL_SILENCE, frame_powers
from annotate.media.sound import SAMPLE_RATE, Heard, piece
from annotate.registry import CHECKS
from annotate.types import Glimpse, Observed, Segment, Speech, Transcript


def observe(
    segments: Sequence[Segment],
    glimpses: Sequence[tuple[Glimpse, ...]],
    voices: Speech,
    heard: Heard,
    transcript: Transcript | None,
) -> list[Observed]:
    """One for each segment of a video."""
    speech = tuple((s.start_us, s.end_us) for s in voices.segments)
    noise = background(heard, voices)
    language = transcript.language if transcript else ""
    return [
        Observed(s, piece(heard.wave, SAMPLE_RATE, (s.start_us, s.end_us)), speech, g, noise, language)
        for s, g in zip(segments, glimpses, strict=True)
    ]


def background(heard: Heard, voices: Speech) -> float:
    """Root mean square between the voices; 0 where there is no such moment.

    The usual moment counts: a slammed door is not the background, nor is the digital silence of an edit.
    """
    ends = [at * SAMPLE_RATE // 1_000_000 for s in voices.segments for at in (s.start_us, s.end_us)]
    between = zip([0, *ends[1::2]], [*ends[::2], len(heard.wave)], strict=True)
    powers = np.concatenate([frame_powers(heard.wave[first:last]) for first, last in between])
    powers = powers[powers > DIGITAL_SILENCE]
    return float(np.sqrt(np.median(powers))) if len(powers) else 0.0


def measure(observed: Observed) -> dict[str, float | str | None]:
    """By check, sorted: what it says about the sample."""
    found: dict[str, float | str | None] = {}
    for name in CHECKS.names():
        value = CHECKS.get(name)().measure(observed)
        found[name] = round(value, 4) if isinstance(value, float) else value
    return found
