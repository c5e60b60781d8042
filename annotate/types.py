"""The nouns of the system: frozen, small, and free of SQL and torch."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


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


class Split(StrEnum):
    """Fixed per group (speaker, video) at ingest; never crossed, never changed."""

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


@dataclass(frozen=True, slots=True)
class Task:
    """One dimension judged on one modality: one head of the network, one kind of question."""

    dimension: Dimension
    modality: Modality

    @property
    def id(self) -> str:
        """For example ``sentiment.T``."""
        return f"{self.dimension.name}.{self.modality.value}"


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A stretch of a video that becomes a sample. Times are microseconds from the video's start."""

    start_us: int
    end_us: int
    text: str = field(default="", compare=False)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return (self.end_us - self.start_us) / 1e6


def sample_id(video_sha256: str, segment: Segment) -> str:
    """The same 16 hex digits on every machine: a hash of the video's content and the cut."""
    key = f"{video_sha256}:{segment.start_us}:{segment.end_us}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]


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

    def complete(self) -> bool:
        """Whether all three are there."""
        return all(path.exists() for path in (self.clip, self.audio, self.silent))


class VideoStatus(StrEnum):
    """What became of a source file."""

    OK = "ok"
    """It has samples."""
    REJECTED = "rejected"
    """It was read, but holds no utterance; the reason says why."""
    FAILED = "failed"
    """It could not be read or cut; the reason says why."""


@dataclass(frozen=True, slots=True)
class VideoJob:
    """One video to be cut by a worker. Everything it needs, so that it opens no database and no settings."""

    path: Path
    sha256: str
    media: Path
    """The project's media folder, where finished files go."""
    sidecar: Path | None
    """The subtitle file beside the video."""
    segmenter: str
    min_seconds: float
    max_seconds: float
    pad_seconds: float


@dataclass(frozen=True, slots=True)
class Check:
    """One measured fact about a sample, with the verdict of its rule."""

    name: str
    value: float
    passed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PreparedSample:
    """A sample whose media files lie finished in the media folder."""

    id: str
    segment: Segment
    transcript_origin: str
    """``subtitles``, or empty when there is no transcript."""
    media_sha256: Mapping[str, str]
    """By pass (A, V, M): hash of the file."""
    checks: tuple[Check, ...]


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
    the predictive normal of each member, integrated over the cell around each answer."""
    mean: NDArray[np.float32]
    """(n,) expected value of a regression task on its own scale; else the index of the likeliest class."""
    epistemic: NDArray[np.float32]
    """(n,) regression: standard deviation between members; classification: mutual information in nats."""
    aleatoric: NDArray[np.float32]
    """(n,) regression: standard deviation of the noise; classification: mean entropy of a member in nats."""

    @property
    def probs(self) -> NDArray[np.float32]:
        """(n, answers) mean over the members."""
        return np.asarray(self.members.mean(axis=0))


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
    distribution: Mapping[str, float]
    """Share of the raters per answer alias."""
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
