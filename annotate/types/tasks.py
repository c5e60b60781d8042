"""What is judged: modalities, dimensions with their answers, tasks, and the labels that they get."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum


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

    def number(self, said: str) -> float | None:
        """What `said` is on a regression scale, between two answers too, where means lie; None where it is no
        number on it."""
        if self.kind is not Kind.REGRESSION:
            return None
        try:
            found = float(said)
        except ValueError:
            return None
        return found if self.low <= found <= self.high else None

    def near(self, number: float) -> dict[str, float]:
        """The answers around a number on the scale, by alias, with shares whose mean it is."""
        above = next(i for i, answer in enumerate(self.answers) if number <= float(answer.value))
        upper = self.answers[above]
        if number == upper.value or above == 0:
            return {upper.alias: 1.0}
        lower = self.answers[above - 1]
        share = (number - float(lower.value)) / (float(upper.value) - float(lower.value))
        return {lower.alias: 1.0 - share, upper.alias: share}

    def ticked(self, value: str) -> tuple[str, ...]:
        """The aliases that a multilabel value joins; that nothing was ticked is a value, the empty one."""
        return tuple(value.split(AND)) if value else ()

    def joined(self, aliases: Collection[str]) -> str:
        """The multilabel value of these ticked aliases, in the order of the dimension."""
        return AND.join(a.alias for a in self.answers if a.alias in aliases)


@dataclass(frozen=True, order=True, slots=True)
class Form:
    """What a rater is asked on one page: a pass, with all of its dimensions or with some of them.

    Each form has a Label Studio project of its own.
    """

    modality: Modality
    dimensions: str = ""
    """Names of the dimensions, sorted and joined by commas; empty: every dimension of the project."""

    @classmethod
    def about(cls, modality: Modality, names: Collection[str] = ()) -> "Form":
        """The form that asks these dimensions of a pass; without names, all of them."""
        return cls(modality, ",".join(sorted(names)))

    @property
    def names(self) -> tuple[str, ...]:
        """The dimensions that it is restricted to; empty where it asks all of them."""
        return tuple(self.dimensions.split(",")) if self.dimensions else ()

    @property
    def words(self) -> str:
        """For people: ``multimodal pass``, ``multimodal pass (emotion)``."""
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
        return f"{self.dimension.name}.{self.modality.value}"


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
class Aggregate:
    """What the raters' answers to one task of one sample come to, as an aggregator sees it."""

    value: float | str
    """A number for regression; an answer's alias for classification; the joined aliases for multilabel."""
    distribution: Mapping[str, float]
    """Probability or share of the raters by answer alias, in the order of the dimension; see `Label`."""
    confidence: float
    """From 0 to 1: how sure the aggregator is of the value."""
    raters: int
    """How many raters' answers it is made of."""
