"""What a plug-in has to offer. Each kind is one small protocol."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from annotate.types import Dataset, Modality, Pool, SampleSource, Segment, Selection


class Segmenter(Protocol):
    """Finds the utterances of one video. Made with `min_seconds` and `max_seconds`, which it keeps to."""

    def segment(self, wave: NDArray[np.float32]) -> list[Segment]:
        """Speech in 16 kHz mono samples in [-1, 1], as ordered, disjoint segments without text."""


class FeatureExtractor(Protocol):
    """Turns one modality of one sample into numbers. Deterministic, and the same on every machine.

    Made with `model`: a path or hub name of pretrained weights, or empty; those that need none ignore it.
    """

    modality: Modality
    dim: int
    version: str
    """Changes whenever the numbers change; part of the folder name of the shards."""

    def extract(self, source: SampleSource) -> NDArray[np.float32]:
        """(frames, dim), at least one frame; a modality that is absent gives a single row of zeros."""


class QueryStrategy(Protocol):
    """Chooses which unlabelled samples people should judge next. Made without arguments."""

    needs_model: bool
    """Whether it reads predictions; without a model the step chooses a strategy that does not."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """At most `k` different positions of the pool, those to ask for first in front."""


class Exporter(Protocol):
    """Writes a finished dataset in one format. Made without arguments."""

    def write(self, dataset: Dataset, folder: Path) -> list[Path]:
        """Write into the existing, empty `folder`; the same dataset gives the same bytes.

        Raises `ExportError` when the format cannot hold the dataset.
        """
