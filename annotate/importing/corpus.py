"""A corpus that was read from files of others, before any of it is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from annotate.types import Modality, Split


class Frames(Protocol):
    """The features of one modality, by sample."""

    @property
    def dim(self) -> int:
        """Numbers per frame."""

    def of(self, index: int) -> NDArray[np.float32] | None:
        """(frames, dim) of the sample at that position, at least one frame; None for a sample without.

        Raises `CorpusError` for a number that is not finite.
        """


class Utterance(NamedTuple):
    """One sample of the corpus."""

    key: str
    """Its id in the corpus."""
    video: str
    speaker: str = ""
    split: Split | None = None
    text: str = ""
    start_us: int = 0
    end_us: int = 0
    """Equal to `start_us` where the length is not known."""


class Vote(NamedTuple):
    """The answer of one rater, or of the corpus as a whole, to one task."""

    position: int
    """Position of the utterance in its corpus."""
    task_id: str
    rater: str
    """Empty for the corpus as a whole."""
    value: str
    """In the form that is stored; see `annotate.importing.answers`."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything to be stored; no two utterances have the same key."""

    file: str
    """Name of the file that the labels come from."""
    sha256: str
    """Hash of that file's content."""
    utterances: Sequence[Utterance]
    votes: Sequence[Vote]
    tasks: frozenset[str]
    """Ids of the tasks that it covers, with or without a vote; earlier answers to other tasks stay."""
    features: Mapping[Modality, Frames]
    has_splits: bool
    """Whether it says which split its utterances are in."""
    notes: tuple[str, ...] = ()
    """What was not read, for the user."""
