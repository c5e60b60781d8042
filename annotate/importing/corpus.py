"""A corpus that was read from somewhere else, before any of it is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from annotate.types import Modality, Split


class Frames(Protocol):
    """The features of one modality, sample by sample."""

    @property
    def dim(self) -> int:
        """Numbers per frame."""

    def of(self, index: int) -> NDArray[np.float32] | None:
        """(frames, dim) of the sample at that place, at least one frame; None where there is none.

        Raises `CorpusError` for a number that is not finite.
        """


class Utterance(NamedTuple):
    """One sample to be."""

    key: str
    """What the corpus calls it."""
    video: str
    speaker: str = ""
    split: Split | None = None
    text: str = ""
    start_us: int = 0
    end_us: int = 0
    """As `start_us` where nobody knows how long it is."""


class Vote(NamedTuple):
    """What one rater, or the corpus as a whole, says about one task."""

    place: int
    """Of the utterance in its corpus."""
    task_id: str
    rater: str
    """Empty for the corpus as a whole."""
    value: str
    """As it is stored: see `annotate.importing.answers`."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything that is to be stored; no two utterances have the same key."""

    file: str
    """Name of the file that the labels come from."""
    sha256: str
    """Of its content."""
    utterances: Sequence[Utterance]
    votes: Sequence[Vote]
    tasks: frozenset[str]
    """Ids of those that it speaks of, with a vote or without; what was said of others stays."""
    features: Mapping[Modality, Frames]
    tells_split: bool
    """Whether it says which split utterances are in."""
    notes: tuple[str, ...] = ()
    """What was left aside, for people."""
