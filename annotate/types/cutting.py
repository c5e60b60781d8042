"""What a worker is given to cut a video, and what it gives back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from annotate.types.speech import LengthRules, Segment, Transcript, TranscriptOptions

JOINED_SPEECH = "joined_speech_us"
"""Fact of a video: stretches of speech (start, end) too short to stand alone, which a neighbour took in."""


class VideoStatus(StrEnum):
    """What became of a source file."""

    OK = "ok"
    """It has samples, though rules may reject them."""
    REJECTED = "rejected"
    """It was read, but holds no utterance; the reason says why."""
    FAILED = "failed"
    """It could not be read or cut; the reason says why."""


@dataclass(frozen=True, slots=True)
class Transcribing:
    """How videos without a transcript are transcribed by a machine. An empty `model` means: not at all."""

    engine: str = "faster-whisper"
    model: str = ""
    """Path of a folder, or a name that the engine knows."""
    language: str = ""
    """Two-letter code; empty: found by the engine."""
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class CutPlan:
    """Every setting that a worker needs to cut a video."""

    segmenter: str = "silero-vad"
    """For videos without a transcript by people."""
    segmenter_with_transcript: str = "subtitles"
    vad_preset: str = "near"
    """How far the microphone is: ``near`` or ``far``."""
    lengths: LengthRules = field(default_factory=LengthRules)
    cut: str = "exact"
    """``exact`` encodes anew; ``copy`` copies packets behind an edit list."""
    hide_subtitles: bool = False
    """Blur what looks like burnt-in text in the silent clip."""
    read_subtitles: bool = False
    """Take burnt-in text for the transcript of samples that have none."""
    transcribing: Transcribing = Transcribing()
    guess_speakers: bool = True
    """Tell voices apart by ear where nobody named them."""
    transcripts: TranscriptOptions = field(default_factory=TranscriptOptions)

    def decides(self) -> dict[str, Any]:
        """What other samples or files follow from, JSON-able: another value, and videos are cut again.

        Where a machine transcribes is no part of it, nor how while it transcribes nothing.
        """
        settings = asdict(self)
        transcribing = settings.pop("transcribing")
        del transcribing["device"]
        options = settings.pop("transcripts")
        if self.transcripts != TranscriptOptions():
            settings["transcripts"] = options
        return {**settings, "transcribing": transcribing if self.transcribing.model else {}}


@dataclass(frozen=True, slots=True)
class Corrected:
    """A sample that somebody corrected by hand, as a worker has to cut it."""

    segment: Segment
    keeps_text: bool
    """Its text was corrected; otherwise that of the same cut in the present transcript counts."""
    language: str = ""
    """Two-letter code of its transcript, when it is known."""


@dataclass(frozen=True, slots=True)
class VideoJob:
    """One video to be cut by a worker. Everything it needs, so that it opens no database and no settings."""

    path: Path
    sha256: str
    media: Path
    """The project's media folder, where finished files go."""
    sidecar: Path | None
    """The file that holds its transcript."""
    plan: CutPlan
    store: str = ""
    """URL of the media root that finished files are sent to; empty: the media folder itself."""
    source: str = ""
    """URL that `path` was fetched from, and can be again where `path` does not exist; empty: from nowhere."""
    sidecar_source: str = ""
    """The same of `sidecar`."""
    transcript: Transcript | None = None
    """What a table that serves many videos says of this one; counts instead of `sidecar`."""
    corrected: tuple[Corrected, ...] = ()
    """Samples that somebody corrected by hand: they are cut exactly so, whatever the segmenter finds."""
    taken: tuple[tuple[int, int], ...] = ()
    """(start, end) in microseconds, ordered and disjoint: nothing but corrected samples is cut there."""
    only_corrected: bool = False
    """Cut the corrected samples and nothing else, their ends moved to the nearest pictures as in any cut."""


@dataclass(frozen=True, slots=True)
class PreparedSample:
    """A sample whose media files lie finished in the media folder."""

    id: str
    segment: Segment
    transcript_origin: str
    """That of its transcript, or empty when there is none."""
    media_sha256: Mapping[str, str]
    """By pass (A, V, M): hash of the file."""
    measures: Mapping[str, float | str | None]
    """By check: what it measured; None where it could not tell."""
    speaker: str = ""
    """Who talks, as far as the video itself tells; empty when it does not."""
    speaker_origin: str = ""
    """``transcript``, ``voice`` (guessed from the sound) or empty."""
    audio_fingerprint: tuple[int, ...] = ()
    """Numbers that two recordings of the same sound share many of."""
    keeps_text: bool = False
    """Its text and speaker are those that are stored already, because it was corrected by hand."""


@dataclass(frozen=True, slots=True)
class VideoOutcome:
    """What a worker made of one video."""

    sha256: str
    status: VideoStatus
    reason: str
    """Short code, such as ``broken``, ``no-audio`` or ``no-speech``; empty when all is well."""
    detail: str
    """What a person needs to understand the reason."""
    facts: Mapping[str, object]
    """Duration, streams, codecs, rotation: what the probe found. JSON-able."""
    samples: tuple[PreparedSample, ...]
