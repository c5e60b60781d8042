"""What is said in a video, by whom and when, down to the utterances that become samples."""

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
    """Nobody gave its times: they were interpolated between its neighbours."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One line of a transcript as its author divided it: a subtitle, an utterance, a turn."""

    start_us: int
    end_us: int
    text: str
    """Normalised: composed form (NFC), no markup, single spaces."""
    raw: str = ""
    """As it stood in the file."""
    speaker: str = ""
    words: tuple[Word, ...] = ()
    """In order; empty when the source knows no times of words."""
    where: str = field(default="", compare=False, repr=False)
    """Where it stands in its file, such as ``line 12``; empty when that is not known."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A cue or row of a file that could not be read."""

    why: str
    """Completes "dropped 1 cue ...", such as ``with damaged times``."""
    where: str = ""
    """As in `Cue`."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a video, and when."""

    cues: tuple[Cue, ...]
    """Ordered by start; those of different speakers may overlap."""
    origin: str
    """``subtitles``, ``transcript``, ``asr`` or ``ocr``."""
    language: str = ""
    """Two-letter code (ISO 639-1) when the source tells it, else empty."""
    notes: tuple[str, ...] = ()
    """One sentence for each kind of cue that could not be used, or thing that had to be guessed."""
    dropped: tuple[Dropped, ...] = ()
    """What stands in the file and could not be read."""
    file: str = ""
    """Name of the file, as its owner knows it."""
    whole_numbers: str = ""
    """``table``, or ``whisper`` for one with its columns, when all times of a table are whole numbers.

    They are given as seconds and may mean milliseconds: the length of the video tells."""


@dataclass(frozen=True, slots=True)
class TranscriptOptions:
    """What somebody said about how to read transcripts."""

    encoding: str = ""
    """Of files without a byte order mark; empty: told by their bytes."""
    tiers: tuple[str, ...] = ()
    """Names or patterns of the tiers (ELAN, Praat) that hold the speech; empty: told by what they hold."""


GUESSED = "voice"
"""Where a speaker's name comes from that nobody gave: it means something inside its video only."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody talks, as a table of turns says. Microseconds from the video's start."""

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
    """Speakers of stretches of the video, where a table lists them line by line."""


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A stretch of a video that becomes a sample. Times are microseconds from the video's start."""

    start_us: int
    end_us: int
    text: str = field(default="", compare=False)
    raw: str = field(default="", compare=False)
    """The text as its source wrote it."""
    speaker: str = field(default="", compare=False)
    """Who talks, when the transcript tells."""
    words: tuple[Word, ...] = field(default=(), compare=False)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return (self.end_us - self.start_us) / 1e6


def sample_id(video_sha256: str, segment: Segment) -> str:
    """The same 16 hex digits on every machine: a hash of the video's content and the cut."""
    key = f"{video_sha256}:{segment.start_us}:{segment.end_us}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class LengthRules:
    """What an utterance has to be like. All in seconds."""

    min_seconds: float = 1.0
    """What shall be reached where it can: stretches of less than half of it are joined to a neighbour. One
    that has none in reach stays as short as it is, for the rules of `[checks]` to decide."""
    max_seconds: float = 10.0
    pad_seconds: float = 0.1
    """Kept before and after speech at most, where there is room and a voice is still faintly heard."""
    bridge_seconds: float = 0.2
    """Pauses shorter than this do not divide."""


@dataclass(frozen=True, slots=True)
class Footage:
    """One whole video, as a segmenter may look at it and listen to it."""

    wave: NDArray[np.float32]
    """(samples,) 16 kHz mono in [-1, 1]."""
    duration_us: int
    transcript: Transcript | None = None
    pictures: Callable[[], Iterator[tuple[int, NDArray[np.uint8]]]] = lambda: iter(())
    """Reads the key pictures when called: (microseconds, (height, width, 3) RGB, at most 160 wide)."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What a segmenter found before any rule of length: raw stretches, or utterances as they are meant."""

    segments: tuple[Segment, ...]
    """Ordered and disjoint."""
    meant: bool = False
    """Somebody chose these ends (cues, windows, scenes): they are neither merged nor dropped."""
    voicing: NDArray[np.float32] | None = None
    """(frames,) how likely a voice is heard, one number per `step_us`: where the best pauses are."""
    step_us: int = 0
    faint: float = 0.0
    """Where voicing is lower, nothing of a voice is left, and padding ends; 0: padding has no such end."""
