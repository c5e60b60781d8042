"""Compares a transcript with the voices in the sound, and explains why hardly any voice may be heard."""

from collections.abc import Sequence

from annotate.media.audio import DecodedAudio, loudest
from annotate.media.probe import Probe
from annotate.types import Segment, Speech

LEAST_SHARE = 0.1
"""Share of the time of a transcript's cues with a voice; below it, something is wrong with the sound."""
QUIET_DB = -40.0
"""A recording whose loudest tenth of a second is below this was made far too quiet."""


def voice_share(segments: Sequence[Segment], voices: Speech) -> float:
    """Share of the time of `segments` in which a voice is heard, 0 to 1; 1 without any segment."""
    total = sum(s.end_us - s.start_us for s in segments)
    common = sum(
        max(0, min(s.end_us, v.end_us) - max(s.start_us, v.start_us))
        for s in segments
        for v in voices.segments
    )
    return min(1.0, common / total) if total else 1.0


def explain_no_voice(probed: Probe, audio: DecodedAudio) -> str:
    """The most likely reason why no voice is heard in the sound of a video."""
    level = loudest(audio.wave)
    if probed.sound_tracks > 1:
        return f"another of its {probed.sound_tracks} sound tracks may hold the voices"
    if level < QUIET_DB:
        return f"its sound is very quiet ({level:.0f} dB at its loudest)"
    return "its sound may be noise, music or another recording"
