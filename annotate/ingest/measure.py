"""What is known of each sample once it is cut, and what the checks measure on it."""

from collections.abc import Sequence

import numpy as np

from annotate.checks.language import UNKNOWN
from annotate.checks.snr import DIGITAL_SILENCE, frame_powers
from annotate.media.audio import SAMPLE_RATE, DecodedAudio, piece
from annotate.registry import CHECKS
from annotate.types import FrameSample, Observed, Segment, Speech, Transcript


def observe(
    segments: Sequence[Segment],
    frame_samples: Sequence[tuple[FrameSample, ...]],
    voices: Speech,
    heard: DecodedAudio,
    transcript: Transcript | None,
) -> list[Observed]:
    """One for each segment of a video."""
    speech = tuple((s.start_us, s.end_us) for s in voices.segments)
    noise = background(heard, voices)
    language = transcript.language if transcript else ""
    return [
        Observed(s, piece(heard.wave, SAMPLE_RATE, (s.start_us, s.end_us)), speech, g, noise, language)
        for s, g in zip(segments, frame_samples, strict=True)
    ]


def background(heard: DecodedAudio, voices: Speech) -> float:
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
    return _measure(observed, CHECKS.names())


def measure_text(segment: Segment, voiced_share: float, language: str) -> dict[str, float | str | None]:
    """The same of the checks that need the text alone, for a sample whose text changed.

    `voiced_share` is the share of the segment in which a voice is heard, `language` what to take where the
    text is too short to tell.
    """
    voiced = segment.start_us + round(voiced_share * (segment.end_us - segment.start_us))
    silence = np.zeros(0, np.float32)
    observed = Observed(segment, silence, ((segment.start_us, voiced),))
    found = _measure(observed, [name for name in CHECKS.names() if CHECKS.get(name).of_text])
    if found.get("language") == UNKNOWN and language:
        found["language"] = language
    return found


def _measure(observed: Observed, names: Sequence[str]) -> dict[str, float | str | None]:
    found: dict[str, float | str | None] = {}
    for name in names:
        value = CHECKS.get(name)().measure(observed)
        found[name] = round(value, 4) if isinstance(value, float) else value
    return found
