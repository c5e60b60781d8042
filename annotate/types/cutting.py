"""The input of a worker that cuts a video, and its result."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from annotate.types.speech import LengthRules, Segment, Transcript, TranscriptOptions

JOINED_SPEECH = "joined_speech_us"
"""Fact of a video: (start, end) of speech that was too short for a sample and was merged into a neighbour."""


class VideoStatus(StrEnum):
    """The outcome of ingesting a source file."""

    OK = "ok"
    """It has samples, though rules may reject them."""
    REJECTED = "rejected"
    """It was read but has no utterance; see the reason."""
    FAILED = "failed"
    """It could not be read or cut; see the reason."""


@dataclass(frozen=True, slots=True)
class Transcribing:
    """Speech recognition for videos without a transcript; off if `model` is empty."""

    engine: str = "faster-whisper"
    model: str = ""
    """Path of a folder, or a name that the engine knows."""
    language: str = ""
    """Two-letter code; empty: detected by the engine."""
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class CutPlan:
    """Every setting that a worker needs to cut a video."""

    segmenter: str = "silero-vad"
    """Segmenter of videos without a human transcript."""
    segmenter_with_transcript: str = "subtitles"
    vad_preset: str = "near"
    """How far the microphone is: ``near`` or ``far``."""
    lengths: LengthRules = field(default_factory=LengthRules)
    cut: str = "exact"
    """``exact`` encodes again; ``copy`` copies packets behind an edit list."""
    hide_subtitles: bool = False
    """Blur burnt-in text in the silent clip."""
    read_subtitles: bool = False
    """Use burnt-in text as the transcript of samples that have none."""
    transcribing: Transcribing = Transcribing()
    guess_speakers: bool = True
    """Cluster unnamed speakers by voice."""
    transcripts: TranscriptOptions = field(default_factory=TranscriptOptions)

    def decides(self) -> dict[str, Any]:
        """The settings that the samples and files depend on, JSON-able; if they change, videos are cut again.

        The device of speech recognition is left out, and all its settings while it is off.
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
    """A manually corrected sample, as a worker has to cut it."""

    segment: Segment
    keeps_text: bool
    """Whether its text was corrected; else the text of the same cut in the current transcript is used."""
    language: str = ""
    """Two-letter code of its transcript, if known."""


@dataclass(frozen=True, slots=True)
class VideoJob:
    """One video to cut, with everything that a worker needs, so that it reads neither database nor
    settings."""

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
    """URL that `path` was fetched from, and can be fetched from again if it does not exist; empty: none."""
    sidecar_source: str = ""
    """The same for `sidecar`."""
    transcript: Transcript | None = None
    """Transcript of this video from a table of many videos; used instead of `sidecar`."""
    corrected: tuple[Corrected, ...] = ()
    """Manually corrected samples, which are cut as they are, whatever the segmenter returns."""
    taken: tuple[tuple[int, int], ...] = ()
    """(start, end) in microseconds, ordered and disjoint: nothing but corrected samples is cut there."""
    only_corrected: bool = False
    """Cut only the corrected samples; their ends are moved to the nearest frames, as in any cut."""


@dataclass(frozen=True, slots=True)
class PreparedSample:
    """A sample whose media files lie finished in the media folder."""

    id: str
    segment: Segment
    transcript_origin: str
    """Origin of its transcript; empty if there is none."""
    media_sha256: Mapping[str, str]
    """Hash of the file by pass (A, V, M)."""
    measures: Mapping[str, float | str | None]
    """Measured value by check; None if it could not be measured."""
    speaker: str = ""
    """Speaker, if the video or its transcript names one; else empty."""
    speaker_origin: str = ""
    """``transcript``, ``voice`` (guessed from the sound) or empty."""
    audio_fingerprint: tuple[int, ...] = ()
    """Hashes; two recordings of the same sound share many of them."""
    keeps_text: bool = False
    """Keep the stored text and speaker, because they were corrected by hand."""


@dataclass(frozen=True, slots=True)
class VideoOutcome:
    """The result of cutting one video."""

    sha256: str
    status: VideoStatus
    reason: str
    """Short code, such as ``broken``, ``no-audio`` or ``no-speech``; empty if all is well."""
    detail: str
    """Explanation of the reason, for people."""
    facts: Mapping[str, object]
    """Result of the probe: duration, streams, codecs, rotation. JSON-able."""
    samples: tuple[PreparedSample, ...]
