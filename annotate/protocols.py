"""The interfaces of plug-ins, one small protocol per kind.

Attributes with a value are optional: the registry gives the value to a class that does not declare them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from annotate.types import (
    Aggregate,
    Dataset,
    Dimension,
    Failed,
    Finished,
    Footage,
    Kind,
    LengthRules,
    Modality,
    Observed,
    Pool,
    R,
    Requirement,
    SampleSource,
    Selection,
    Speech,
    Transcript,
    U,
    Working,
)


@dataclass(frozen=True, slots=True)
class NoOptions:
    """The options of a plug-in that has none."""


class Plugin(Protocol):
    """Common part of all plug-ins; each kind states the arguments of its constructor."""

    Options: type = NoOptions
    """A frozen dataclass of defaults, see `annotate.options`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Create the plug-in; see each kind for its arguments."""


class Segmenter(Plugin, Protocol):
    """Finds the utterances of one video. Deterministic.

    Made with `preset`, ``near`` or ``far``, the distance of the microphone; segmenters without voice activity
    detection ignore it.
    """

    def segment(self, footage: Footage, lengths: LengthRules) -> Speech:
        """The speech before any rule of length is applied; no speech is not an error.

        `lengths` is for segmenters that choose ends of their own, such as windows of the longest length.
        """


class Check(Plugin, Protocol):
    """Measures one property of a sample; a rule in the settings decides whether it is good enough.

    Made without arguments. Deterministic.
    """

    unit: str
    """Unit of the value in messages: ``s``, ``dB``, ``share``; empty for a word."""
    low: str
    """Reason in messages when the value is below the rule's minimum."""
    high: str
    """Reason when it is above the maximum, or a word is not allowed."""
    of_text: bool = False
    """Whether `measure` uses only the text, words, language and speech of an observation. Such a check runs
    again when a transcript is corrected."""

    def measure(self, observed: Observed) -> float | str | None:
        """The value; None if it cannot be measured."""


class Transcriber(Plugin, Protocol):
    """Speech recognition. Made with `model`, `language` (empty: detected) and `device`.

    Its constructor raises `AnnotateError` with a hint when a requirement is missing.
    """

    def transcribe(self, wave: NDArray[np.float32], alive: Callable[[], None]) -> Transcript:
        """The transcript, with word times, of 16 kHz mono in [-1, 1]; calls `alive` as it makes progress."""


class Executor(Plugin, Protocol):
    """Runs units of work. Made with `address` of a cluster; empty: this machine.

    Processes that it starts for all its runs end with its `with` block.
    """

    def __enter__(self) -> Self:
        """Enter; nothing has to be started yet."""

    def __exit__(self, *failure: object) -> None:
        """End everything that it started; a cluster that existed before stays."""

    def slots(self) -> int:
        """Number of units that can run at once."""

    def run(
        self,
        fn: Callable[[U], R],
        units: Iterable[U],
        *,
        workers: int,
        deadline_seconds: float,
        window: int,
    ) -> Iterator[Working[U] | Finished[U, R] | Failed[U]]:
        """At least one outcome per unit, in any order; nothing that failed is tried again.

        `fn` is a top-level function (or a `functools.partial` of one) without shared state, and idempotent:
        a unit may run twice. At most `window` units are drawn from `units` ahead of the workers. A unit that
        makes no progress for `deadline_seconds` is stopped. Closing the iterator stops everything.
        """


class FeatureExtractor(Plugin, Protocol):
    """Computes the features of one modality of one sample. Deterministic, and the same on every machine.

    Made with `model`: a path or hub name of pretrained weights, or empty; extractors that need none ignore
    it.
    """

    modality: Modality
    dim: int
    version: str
    """Changes whenever the numbers change; part of the folder name of the shards."""
    tokens: bool = False
    """Whether the features are token ids, which only some encoders can read, instead of measurements."""
    made_elsewhere: bool = False
    """Whether the features are imported, so that a changed sample does not make them out of date."""

    def extract(self, source: SampleSource) -> NDArray[np.float32]:
        """(frames, dim), at least one frame; an absent modality gives a single row of zeros."""


class QueryStrategy(Plugin, Protocol):
    """Chooses which unlabelled samples people judge next.

    Made with its `Options` if the class declares any, else without arguments.
    """

    needs: frozenset[Requirement]
    """What it reads of the pool. Without a model, a strategy that needs none is used instead."""
    kinds: frozenset[Kind] = frozenset(Kind)
    """Kinds of tasks that it can rank; its pool has no others."""
    options: Any = None
    """The options that it was made with."""
    wraps: bool = False
    """Whether it wraps other strategies; it is then made with the options of all strategies besides its
    own."""
    inner: Mapping[str, "QueryStrategy"] = MappingProxyType({})
    """The wrapped strategies by name."""
    ranks_by_uncertainty: bool = False
    """Whether, all else equal, a sample that the model is unsure of comes before those that it is sure of.
    The contract tests then demand that order."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """At most `k` different positions of the pool, the first to ask first.

        Raises `ModelError` or `FeatureError` when what it needs is absent or not a number.
        """


class Aggregator(Plugin, Protocol):
    """Turns the answers that several raters gave into one label per sample. Made without arguments.

    Deterministic; neither the order of the samples nor that of the raters changes a result.
    """

    kinds: frozenset[Kind]
    """Kinds of dimension that it was written for; it never gets votes of others."""
    rule: str
    """What a label is, to complete the sentence "a label is ..." in the data card of an export."""
    per_sample: bool
    """Whether the label of a sample depends on the votes of that sample alone.

    Then only samples with new answers are aggregated again, and `votes` may be a part of a task's votes. An
    aggregator that learns about raters from all samples, such as Dawid and Skene's, sets False: it is always
    given all votes of a task, and all labels of the task are made again.
    """

    def fit_predict(
        self, dimension: Dimension, votes: Mapping[str, Mapping[int, str]]
    ) -> dict[str, Aggregate]:
        """The aggregate by sample id, for every sample that has a vote.

        `votes`: the answer by rater id, by sample id. Every answer is one that `dimension` takes or, for
        regression, a number on its scale (an imported mean). Zero and the empty multilabel value are answers.
        """


class Exporter(Plugin, Protocol):
    """Writes a finished dataset in one format. Made without arguments."""

    needs_clips: bool
    """Whether it copies clips, which are then made available as local files."""

    def write(self, dataset: Dataset, folder: Path) -> list[Path]:
        """Write into the existing, empty `folder`; the same dataset gives the same bytes.

        Raises `ExportError` when the format cannot hold the dataset.
        """
