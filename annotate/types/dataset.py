"""Where a sample's files lie, and the finished dataset that an exporter writes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.types.tasks import Label, Modality, Task


class Split(StrEnum):
    """Split of a sample, which is given per group: speaker, episode, video and duplicates."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class SampleMedia:
    """Paths of the files of one sample. What a pass may not show is absent from its file."""

    clip: Path
    """Picture and sound (mp4, H.264 + AAC): the multimodal pass."""
    audio: Path
    """16 kHz mono wav without picture: the audio pass, and the input of audio features."""
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
        """The file that the pass A, V or M shows."""
        files = {Modality.AUDIO: self.audio, Modality.VISION: self.silent, Modality.MULTIMODAL: self.clip}
        return files[modality]

    def complete(self) -> bool:
        """Whether all three files exist."""
        return all(path.exists() for path in (self.clip, self.audio, self.silent))


@dataclass(frozen=True, slots=True)
class SampleSource:
    """The input of a feature extractor for one sample."""

    sample_id: str
    media: SampleMedia
    transcript: str


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
    """By task id; every required task is present."""
    media: SampleMedia
    judged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By pass that shows text (T, M): the different texts that raters judged, sorted."""
    speaker_guessed: bool = False
    """Whether the speaker was clustered by voice, which separates speakers within a video only."""
    imported: frozenset[str] = frozenset()
    """Ids of the tasks whose labels come from imported answers, given under unknown conditions."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The input of an exporter: rows ordered by (video_id, clip_id), and readers of their features."""

    name: str
    tasks: tuple[Task, ...]
    rows: Sequence[DatasetRow]
    left_out: Mapping[str, int]
    """How many samples were left out, by reason."""
    features: Mapping[Modality, Callable[[str], NDArray[np.float32]]]
    """By unimodal modality: sample id -> (frames, dim)."""
    feature_names: Mapping[Modality, str]
    """By unimodal modality: ``extractor@hash``."""
