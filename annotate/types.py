"""The nouns of the system: frozen, small, and free of SQL and torch."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

U = TypeVar("U")
R = TypeVar("R")


class Modality(StrEnum):
    """What a rater perceives and what a head of the network sees; the value is the short key."""

    TEXT = "T"
    AUDIO = "A"
    VISION = "V"
    MULTIMODAL = "M"

    @property
    def word(self) -> str:
        """The word for people: ``text``, ``audio``, ``vision``, ``multimodal``."""
        return self.name.lower()


UNIMODAL = (Modality.TEXT, Modality.AUDIO, Modality.VISION)


class Kind(StrEnum):
    """How the answers to a dimension relate to each other."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"
    MULTILABEL = "multilabel"
    """Several of the answers may be true at once, or none of them."""


AND = "|"
"""Stands between the answers that a rater of a multilabel dimension ticked, so none may hold it."""


class Split(StrEnum):
    """Fixed per group (what hangs together by speaker, episode or repeat) at ingest; never changed."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


class Role(StrEnum):
    """Why a sample is in a batch."""

    ACTIVE = "active"
    """Chosen by the query strategy from train."""
    AUDIT = "audit"
    """Drawn uniformly from the train pool, never trained on: what promises are checked with."""
    HOLDOUT = "holdout"
    """A valid or test sample, drawn uniformly: what scores are measured with."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing a rater can say: what is stored, and the word on the page."""

    value: float | str
    label: str

    @property
    def alias(self) -> str:
        """How Label Studio stores it: ``-1``, ``0.5``, ``happy``."""
        return self.value if isinstance(self.value, str) else f"{self.value:g}"


@dataclass(frozen=True, slots=True)
class Dimension:
    """What is judged, such as sentiment: its kind and the answers a rater can give, in order."""

    name: str
    kind: Kind
    answers: tuple[Answer, ...]

    @property
    def low(self) -> float:
        """The lowest value of a regression scale."""
        return float(self.answers[0].value)

    @property
    def high(self) -> float:
        """The highest value of a regression scale."""
        return float(self.answers[-1].value)

    def answer(self, alias: str) -> Answer | None:
        """The answer that Label Studio stores as `alias`, or None if there is none."""
        return next((a for a in self.answers if a.alias == alias), None)

    def takes(self, said: str) -> bool:
        """Whether `said` can be stored as what one rater answers: an alias, or of a multilabel dimension
        any number of aliases, each once, joined by `AND`."""
        aliases = self.ticked(said) if self.kind is Kind.MULTILABEL else (said,)
        return len(set(aliases)) == len(aliases) and all(self.answer(alias) for alias in aliases)

    def ticked(self, value: str) -> tuple[str, ...]:
        """The aliases that a multilabel value joins; that nothing was ticked is a value, the empty one."""
        return tuple(value.split(AND)) if value else ()

    def joined(self, aliases: Collection[str]) -> str:
        """The multilabel value of these ticked aliases, in the order of the dimension."""
        return AND.join(a.alias for a in self.answers if a.alias in aliases)


@dataclass(frozen=True, slots=True)
class Task:
    """One dimension judged on one modality: one head of the network, one kind of question."""

    dimension: Dimension
    modality: Modality

    @property
    def id(self) -> str:
        """For example ``sentiment.T``."""
        return f"{self.dimension.name}.{self.modality.value}"


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


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a video, and when."""

    cues: tuple[Cue, ...]
    """Ordered by start; those of different speakers may overlap."""
    origin: str
    """``subtitles``, ``transcript`` or ``asr``."""
    language: str = ""
    """Two-letter code (ISO 639-1) when the source tells it, else empty."""
    notes: tuple[str, ...] = ()
    """One sentence for each kind of cue that could not be used, or thing that had to be guessed."""


GUESSED = "voice"
"""Where a speaker's name comes from that nobody gave: it means something inside its video only."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody talks, as a table of turns says. Microseconds from the video's start."""

    speaker: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody said about a video beforehand. Empty where nobody did."""

    speaker: str = ""
    """Of the whole video."""
    episode: str = ""
    turns: tuple[Turn, ...] = ()
    """Who talks when, where a table says it line by line."""


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
    max_seconds: float = 10.0
    pad_seconds: float = 0.1
    """Kept before and after speech where there is room."""
    bridge_seconds: float = 0.3
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


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a picture; all four are shares of the picture's width and height, 0 to 1."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What was seen in one of the pictures of a sample that were looked at."""

    time_us: int
    """From the video's start."""
    brightness: float
    """Mean, 0 (black) to 1."""
    contrast: float
    """Standard deviation of the brightness, 0 to 0.5."""
    change: float | None = None
    """Mean absolute difference in brightness from the glimpse before, 0 to 1, in that of 8 x 8 parts of the
    picture that changed most; None for the first."""
    faces: tuple[Box, ...] | None = None
    """The largest first; None where no face was searched for."""
    mouth: float | None = None
    """How much the mouth of the largest face moved since the glimpse before, a twelfth of a second ago, 0 to
    1; None where unknown."""
    lettering: tuple[Box, ...] | None = None
    """Around each line of what looks like burnt-in text; None where none was searched for."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything a check may know of one sample."""

    segment: Segment
    wave: NDArray[np.float32]
    """(samples,) of the sample alone, 16 kHz mono in [-1, 1]."""
    speech: tuple[tuple[int, int], ...]
    """Where a voice was heard, in microseconds from the video's start."""
    glimpses: tuple[Glimpse, ...] = ()
    """In order; few, or those of key pictures only, when the clip was cut without decoding it."""
    noise: float = 0.0
    """Root mean square of the video's own background, between the voices."""
    language: str = ""
    """Of the transcript, when its source tells."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a measured value must be for its sample to be used. Nothing said means: anything goes."""

    min: float | None = None
    max: float | None = None
    allow: tuple[str, ...] = ()
    """Of a value that is a word: those that pass; empty means all."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check measured on a sample, and what its rule says about it."""

    name: str
    value: float | str | None
    """None where it could not be told; that passes."""
    passed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SampleMedia:
    """Where the files of one sample lie. What a pass may not show is absent from its file."""

    clip: Path
    """Picture and sound (mp4, H.264 + AAC): the multimodal pass."""
    audio: Path
    """16 kHz mono wav without picture: the audio pass, and what features are taken from."""
    silent: Path
    """The clip without its audio stream: the vision pass."""

    @classmethod
    def under(cls, root: Path, sample_id: str) -> "SampleMedia":
        """The files of a sample in the media folder `root`, whether or not they exist yet."""
        shard = sample_id[:2]
        return cls(
            clip=root / "M" / shard / f"{sample_id}.mp4",
            audio=root / "A" / shard / f"{sample_id}.wav",
            silent=root / "V" / shard / f"{sample_id}.mp4",
        )

    def of(self, modality: Modality) -> Path:
        """The one file that the pass A, V or M shows."""
        files = {Modality.AUDIO: self.audio, Modality.VISION: self.silent, Modality.MULTIMODAL: self.clip}
        return files[modality]

    def complete(self) -> bool:
        """Whether all three are there."""
        return all(path.exists() for path in (self.clip, self.audio, self.silent))


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
    lengths: LengthRules = LengthRules()
    cut: str = "exact"
    """``exact`` encodes anew; ``copy`` copies packets behind an edit list."""
    hide_subtitles: bool = False
    """Blur what looks like burnt-in text in the silent clip."""
    transcribing: Transcribing = Transcribing()
    guess_speakers: bool = True
    """Tell voices apart by ear where nobody named them."""

    def decides(self) -> dict[str, Any]:
        """What other samples or files follow from, JSON-able: another value, and videos are cut again.

        Where a machine transcribes is no part of it, nor how while it transcribes nothing.
        """
        said = asdict(self)
        transcribing = said.pop("transcribing")
        del transcribing["device"]
        return {**said, "transcribing": transcribing if self.transcribing.model else {}}


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
    sound_print: tuple[int, ...] = ()
    """Numbers that two recordings of the same sound share many of."""


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


class Failure(StrEnum):
    """Why a unit has no value."""

    TIMEOUT = "timeout"
    """It got nowhere until its deadline and was killed."""
    DIED = "died"
    """Its process ended without an answer: a crash, a kill, or no memory left."""
    ERROR = "error"
    """It raised; the message is the traceback."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What a worker tells of itself while it is busy."""

    done_us: int = 0
    """How far into the footage it is; 0 where that is not known."""
    of_us: int = 0
    """How long the footage is; 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class Working(Generic[U]):
    """A unit that a worker has begun, or gets on with. No outcome: one follows."""

    unit: U
    sign: Sign


@dataclass(frozen=True, slots=True)
class Finished(Generic[U, R]):
    """A unit and what the function made of it."""

    unit: U
    value: R


@dataclass(frozen=True, slots=True)
class Failed(Generic[U]):
    """A unit that has no value."""

    unit: U
    kind: Failure
    message: str


@dataclass(frozen=True, slots=True)
class SampleSource:
    """What a feature extractor may look at for one sample."""

    sample_id: str
    media: SampleMedia
    transcript: str


@dataclass(frozen=True, slots=True)
class TaskPrediction:
    """What the ensemble says about one task for the n samples of a pool."""

    task: Task
    members: NDArray[np.float32]
    """(members, n, answers) probability of each answer, rows sum to one. For a regression task it is
    the predictive normal of each member, integrated over the cell around each answer. For a multilabel
    task it is the probability that each answer is ticked, apart from the others: rows have any sum."""
    mean: NDArray[np.float32]
    """(n,) expected value of a regression task on its own scale; the index of the likeliest class; of a
    multilabel task the number of answers that are `ticked`."""
    epistemic: NDArray[np.float32]
    """(n,) regression: standard deviation between members; classification: mutual information in nats;
    multilabel: that of each answer, summed."""
    aleatoric: NDArray[np.float32]
    """(n,) regression: standard deviation of the noise; classification: mean entropy of a member in nats;
    multilabel: that of each answer, summed."""
    shares: NDArray[np.float64] | None = None
    """(members,) how much each member's word counts, summing to one; None: equally."""

    @property
    def probs(self) -> NDArray[np.float32]:
        """(n, answers) mean over the members."""
        return np.asarray(self.average(self.members), np.float32)

    def average(self, values: NDArray[Any]) -> NDArray[Any]:
        """The mean over the members, which stand in front of `values`."""
        return values.mean(axis=0) if self.shares is None else np.tensordot(self.shares, values, axes=1)

    @property
    def ticked(self) -> NDArray[np.bool_]:
        """(n, answers) of a multilabel task: what is at least as likely ticked as not."""
        return np.asarray(self.probs >= 0.5)

    def of(self, rows: Sequence[int] | NDArray[np.intp]) -> "TaskPrediction":
        """The same for some of the samples, in this order."""
        return TaskPrediction(
            self.task,
            self.members[:, rows],
            self.mean[rows],
            self.epistemic[rows],
            self.aleatoric[rows],
            self.shares,
        )


@dataclass(frozen=True, slots=True)
class Pool:
    """The candidates of a round, ordered by sample id, as a query strategy sees them."""

    sample_ids: NDArray[np.str_]
    """(n,)"""
    predictions: Mapping[str, TaskPrediction]
    """By task id; empty while no model exists (cold start)."""
    missing: Mapping[str, NDArray[np.bool_]]
    """By task id: (n,) True where the label is still missing, so a question would be worth something."""
    embeddings: NDArray[np.float32]
    """(n, d) what distances are measured in: the fused code, or scaled features at cold start."""
    labelled_embeddings: NDArray[np.float32]
    """(labelled, d) the same for the train samples that are labelled or already asked."""

    def __len__(self) -> int:
        return len(self.sample_ids)


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen samples, those to ask for first in front."""

    indices: NDArray[np.intp]
    """(k,) positions in the pool, each at most once."""
    scores: NDArray[np.float64]
    """(k,) higher means ask sooner."""


@dataclass(frozen=True, slots=True)
class Label:
    """The agreed value of a task of a sample; it can always be made again from the annotations."""

    sample_id: str
    task_id: str
    value: float | str
    """Multilabel: the aliases that at least half of the raters ticked, see `Dimension.ticked`."""
    distribution: Mapping[str, float]
    """Share of the raters per answer alias. Multilabel: of those who ticked it, for every answer; they do
    not sum to one."""
    raters: int


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One sample of a finished dataset."""

    sample_id: str
    video_id: str
    """Short name of the video, unique in the dataset, safe as a file name."""
    clip_id: str
    """Four digits, the position of the utterance in its video, starting at 0001."""
    text: str
    speaker: str
    split: Split
    start_us: int
    end_us: int
    labels: Mapping[str, Label]
    """By task id; every required task is there."""
    media: SampleMedia
    speaker_guessed: bool = False
    """The speaker was told by ear, apart from others in the same video only."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """What an exporter writes: rows ordered by (video_id, clip_id), and a way to their features."""

    name: str
    tasks: tuple[Task, ...]
    rows: Sequence[DatasetRow]
    left_out: Mapping[str, int]
    """How many samples were left out, by reason."""
    features: Mapping[Modality, Callable[[str], NDArray[np.float32]]]
    """By unimodal modality: sample id -> (frames, dim)."""
    feature_names: Mapping[Modality, str]
    """By unimodal modality: ``extractor@hash``."""
