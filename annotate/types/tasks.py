"""Modalities, dimensions with their answers, tasks and labels."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class Modality(StrEnum):
    """The modality that a rater perceives and that a head of the network reads; the value is the short
    key."""

    TEXT = "T"
    AUDIO = "A"
    VISION = "V"
    MULTIMODAL = "M"

    @property
    def word(self) -> str:
        """The word in messages: ``text``, ``audio``, ``vision``, ``multimodal``."""
        return self.name.lower()


UNIMODAL = (Modality.TEXT, Modality.AUDIO, Modality.VISION)


class Kind(StrEnum):
    """Kind of a dimension."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"
    MULTILABEL = "multilabel"
    """Any number of the answers may apply, possibly none."""


AND = "|"
"""Separates the ticked answers in a multilabel value; no answer may contain it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One possible answer: the stored value, and the word on the page."""

    value: float | str
    label: str

    @property
    def alias(self) -> str:
        """How Label Studio stores it: ``-1``, ``0.5``, ``happy``."""
        return self.value if isinstance(self.value, str) else f"{self.value:g}"


@dataclass(frozen=True, slots=True)
class Dimension:
    """A judged property such as sentiment: its kind and its possible answers, in order."""

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

    def takes(self, value: str) -> bool:
        """Whether `value` is a valid answer of one rater: an alias or, for a multilabel dimension, any number
        of different aliases joined by `AND`."""
        aliases = self.ticked(value) if self.kind is Kind.MULTILABEL else (value,)
        return len(set(aliases)) == len(aliases) and all(self.answer(alias) for alias in aliases)

    def number(self, text: str) -> float | None:
        """`text` as a number on the regression scale, possibly between two answers, as means are; None if it
        is not a number on the scale."""
        if self.kind is not Kind.REGRESSION:
            return None
        try:
            value = float(text)
        except ValueError:
            return None
        return value if self.low <= value <= self.high else None

    def near(self, number: float) -> dict[str, float]:
        """The one or two answers around a number on the scale, by alias, with weights whose mean it is."""
        above = next(i for i, answer in enumerate(self.answers) if number <= float(answer.value))
        upper = self.answers[above]
        if number == upper.value or above == 0:
            return {upper.alias: 1.0}
        lower = self.answers[above - 1]
        share = (number - float(lower.value)) / (float(upper.value) - float(lower.value))
        return {lower.alias: 1.0 - share, upper.alias: share}

    def ticked(self, value: str) -> tuple[str, ...]:
        """The aliases in a multilabel value; the empty value means that nothing was ticked."""
        return tuple(value.split(AND)) if value else ()

    def joined(self, aliases: Collection[str]) -> str:
        """The multilabel value of these ticked aliases, in the order of the dimension."""
        return AND.join(a.alias for a in self.answers if a.alias in aliases)


@dataclass(frozen=True, order=True, slots=True)
class Form:
    """The questions on one page: a pass with all of the dimensions or some of them.

    Each form has a Label Studio project of its own.
    """

    modality: Modality
    dimensions: str = ""
    """Names of the dimensions, sorted and joined by commas; empty: every dimension of the project."""

    @classmethod
    def about(cls, modality: Modality, names: Collection[str] = ()) -> "Form":
        """The form of a pass with these dimensions; without names, with all of them."""
        return cls(modality, ",".join(sorted(names)))

    @property
    def names(self) -> tuple[str, ...]:
        """The dimensions that it is restricted to; empty if it has all of them."""
        return tuple(self.dimensions.split(",")) if self.dimensions else ()

    @property
    def words(self) -> str:
        """The name in messages: ``multimodal pass``, ``multimodal pass (emotion)``."""
        only = f" ({', '.join(self.names)})" if self.names else ""
        return f"{self.modality.word} pass{only}"

    def asks(self, dimension: str) -> bool:
        """Whether the dimension of this name is on the page."""
        return not self.names or dimension in self.names


@dataclass(frozen=True, slots=True)
class Task:
    """One dimension judged on one modality: one head of the network, one kind of question."""

    dimension: Dimension
    modality: Modality

    @property
    def id(self) -> str:
        """For example ``sentiment.T``."""
        return f"{self.dimension.name}{task_id_suffix(self.modality)}"


@cache
def parse_task_id(task_id: str) -> tuple[str, Modality]:
    """The name of the dimension and the modality of a `Task.id`.

    Raises `ValueError` for anything else.
    """
    dimension, _, modality = task_id.rpartition(".")
    return dimension, Modality(modality)


def task_id_suffix(modality: Modality) -> str:
    """The end of the ids of all tasks of a modality, for queries."""
    return f".{modality.value}"


@dataclass(frozen=True, slots=True)
class Label:
    """The aggregated value of a task of a sample; it can always be rebuilt from the annotations."""

    sample_id: str
    task_id: str
    value: float | str
    """Multilabel: the aliases that at least half of the raters ticked, see `Dimension.ticked`."""
    distribution: Mapping[str, float]
    """Share of the raters by answer alias. Multilabel: share who ticked each answer; these do not sum to
    one."""
    raters: int


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The result of an aggregator for one task of one sample."""

    value: float | str
    """A number for regression; an answer's alias for classification; the joined aliases for multilabel."""
    distribution: Mapping[str, float]
    """Probability or share of the raters by answer alias, in the order of the dimension; see `Label`."""
    confidence: float
    """Confidence of the aggregator in the value, 0 to 1."""
    raters: int
    """Number of raters whose answers were aggregated."""
