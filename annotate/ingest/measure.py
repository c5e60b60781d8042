"""Collects what the checks need to know about each sample, and runs them."""

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
    audio: DecodedAudio,
    transcript: Transcript | None,
) -> list[Observed]:
    """The input of the checks for each segment of a video, in order."""
    speech = tuple((s.start_us, s.end_us) for s in voices.segments)
    noise = background_level(audio, voices)
    language = transcript.language if transcript else ""
    return [
        Observed(s, piece(audio.wave, SAMPLE_RATE, (s.start_us, s.end_us)), speech, g, noise, language)
        for s, g in zip(segments, frame_samples, strict=True)
    ]


def background_level(audio: DecodedAudio, voices: Speech) -> float:
    """Root mean square of the sound between the voices; 0 where there is nothing between them.

    It is the median, because neither a slammed door nor the digital silence of an edit is the background.
    """
    ends = [at * SAMPLE_RATE // 1_000_000 for s in voices.segments for at in (s.start_us, s.end_us)]
    between = zip([0, *ends[1::2]], [*ends[::2], len(audio.wave)], strict=True)
    powers = np.concatenate([frame_powers(audio.wave[first:last]) for first, last in between])
    powers = powers[powers > DIGITAL_SILENCE]
    return float(np.sqrt(np.median(powers))) if len(powers) else 0.0


def measure(observed: Observed) -> dict[str, float | str | None]:
    """The value of every check for the sample, by name, sorted."""
    return _run_checks(observed, CHECKS.names())


def measure_text(segment: Segment, voiced_share: float, language: str) -> dict[str, float | str | None]:
    """The values of those checks that need only the text, for a sample whose text changed.

    `voiced_share` is the share of the segment in which a voice is heard, `language` the language to assume
    where the text is too short to tell.
    """
    voiced = segment.start_us + round(voiced_share * (segment.end_us - segment.start_us))
    silence = np.zeros(0, np.float32)
    observed = Observed(segment, silence, ((segment.start_us, voiced),))
    of_text = [name for name in CHECKS.names() if CHECKS.get(name).of_text]
    measures = _run_checks(observed, of_text)
    if measures.get("language") == UNKNOWN and language:
        measures["language"] = language
    return measures


def _run_checks(observed: Observed, names: Sequence[str]) -> dict[str, float | str | None]:
    measures: dict[str, float | str | None] = {}
    for name in names:
        value = CHECKS.get(name)().measure(observed)
        measures[name] = round(value, 4) if isinstance(value, float) else value
    return measures
