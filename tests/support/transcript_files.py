"""Reads the text of a transcript file in tests as ingest does."""

from pathlib import Path

from annotate.transcripts.read import DEFAULT, read_transcript
from annotate.transcripts.usable import usable
from annotate.types import Transcript, TranscriptOptions

MINUTE = 60_000_000


def read(
    folder: Path,
    content: str | bytes,
    name: str,
    *,
    seconds: float = 60,
    video: str = "",
    options: TranscriptOptions = DEFAULT,
) -> Transcript:
    """What is left of a file called `name` for a video of so many seconds."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return usable(read_transcript(path, Path(video) if video else None, options), round(seconds * 1e6))


def cues(transcript: Transcript) -> list[tuple[float, float, str]]:
    """Start and end in seconds, and text."""
    return [(cue.start_us / 1e6, cue.end_us / 1e6, cue.text) for cue in transcript.cues]


def texts(transcript: Transcript) -> list[str]:
    """What is said, cue by cue."""
    return [cue.text for cue in transcript.cues]
