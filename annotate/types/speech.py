"""Transcripts, speakers and segments of a video."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a transcript, or one character of a script without spaces. Microseconds of the video."""

    text: str
    start_us: int
    end_us: int
    guessed: bool = False
    """Whether its times were interpolated between its neighbours."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One line of a transcript as its author divided it: a subtitle, an utterance, a turn."""

    start_us: int
    end_us: int
    text: str
    """Normalised: composed form (NFC), no markup, single spaces."""
    raw: str = ""
    """The text as in the file."""
    speaker: str = ""
    words: tuple[Word, ...] = ()
    """In order; empty if the source has no word times."""
    where: str = field(default="", compare=False, repr=False)
    """Its location in the file, such as ``line 12``; empty if unknown."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A cue or row of a file that could not be read."""

    why: str
    """Completes "dropped 1 cue ...", such as ``with damaged times``."""
    where: str = ""
    """As in `Cue`."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcript of a video."""

    cues: tuple[Cue, ...]
    """Ordered by start; those of different speakers may overlap."""
    origin: str
    """``subtitles``, ``transcript``, ``asr`` or ``ocr``."""
    language: str = ""
    """Two-letter code (ISO 639-1) if the source states it, else empty."""
    notes: tuple[str, ...] = ()
    """One sentence for each kind of cue that could not be used and each assumption that was made."""
    dropped: tuple[Dropped, ...] = ()
    """Parts of the file that could not be read."""
    file: str = ""
    """Name of the file."""
    whole_numbers: str = ""
    """``table`` (``whisper`` for one with Whisper's columns) if all times of a table are whole numbers.

    They are read as seconds but may be milliseconds, which the length of the video decides."""


@dataclass(frozen=True, slots=True)
class TranscriptOptions:
    """Options for reading transcripts."""

    encoding: str = ""
    """Encoding of files without a byte order mark; empty: detected."""
    tiers: tuple[str, ...] = ()
    """Names or patterns of the tiers (ELAN, Praat) that hold the speech; empty: detected from their
    content."""


GUESSED = "voice"
"""Origin of a speaker who was clustered by voice; the name has a meaning within its video only."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A speaker turn of a table of turns, in microseconds from the start of the video."""

    speaker: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class VideoMetadata:
    """Speaker, episode and turns of a video that the user gives at ingest; each may be empty."""

    speaker: str = ""
    """Speaker of the whole video."""
    episode: str = ""
    turns: tuple[Turn, ...] = ()
    """Speaker turns, if a table lists them line by line."""


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A stretch of a video that becomes a sample, in microseconds from the start of the video."""

    start_us: int
    end_us: int
    text: str = field(default="", compare=False)
    raw: str = field(default="", compare=False)
    """The text as its source wrote it."""
    speaker: str = field(default="", compare=False)
    """Speaker, if the transcript names one."""
    words: tuple[Word, ...] = field(default=(), compare=False)

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return (self.end_us - self.start_us) / 1e6


def sample_id(video_sha256: str, segment: Segment) -> str:
    """The same 16 hex digits on every machine: a hash of the video's content and the cut."""
    key = f"{video_sha256}:{segment.start_us}:{segment.end_us}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class LengthRules:
    """Bounds on the length of utterances, in seconds."""

    min_seconds: float = 1.0
    """Target minimum: stretches of less than half of it are joined to a neighbour. One without a neighbour in
    reach stays short, and the rules of `[checks]` decide about it."""
    max_seconds: float = 10.0
    pad_seconds: float = 0.1
    """Longest padding before and after speech; it ends where voice activity has faded out."""
    bridge_seconds: float = 0.2
    """Shorter pauses do not split an utterance."""


@dataclass(frozen=True, slots=True)
class Footage:
    """One whole video, as the input of a segmenter."""

    wave: NDArray[np.float32]
    """(samples,) 16 kHz mono in [-1, 1]."""
    duration_us: int
    transcript: Transcript | None = None
    pictures: Callable[[], Iterator[tuple[int, NDArray[np.uint8]]]] = lambda: iter(())
    """Reads the keyframes when called: (microseconds, (height, width, 3) RGB, at most 160 wide)."""


@dataclass(frozen=True, slots=True)
class Speech:
    """The result of a segmenter before rules of length: raw stretches of speech, or final utterances."""

    segments: tuple[Segment, ...]
    """Ordered and disjoint."""
    meant: bool = False
    """Whether the ends are deliberate (cues, windows, scenes), so that nothing is merged or dropped."""
    voicing: NDArray[np.float32] | None = None
    """(frames,) probability of voice activity, one value per `step_us`, for choosing pauses."""
    step_us: int = 0
    faint: float = 0.0
    """Voicing below which padding ends; 0: padding is not limited by voicing."""
