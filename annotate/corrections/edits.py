"""Corrections by hand as data: the edits that people ask for, and the plan of what they change."""

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum

from annotate.types import Segment


class InvalidCorrection(ValueError):
    """A correction that cannot be made; the message says why, in terms of the sample."""


class Decision(StrEnum):
    """What somebody decides about a sample whatever its checks say; the value is for people."""

    ACCEPT = "accepted by hand"
    REJECT = "rejected by hand"
    FORGET = "as the checks say"
    """Take an earlier decision back."""

    @property
    def accepted(self) -> bool | None:
        """As `db.checks.decide` takes it."""
        return None if self is Decision.FORGET else self is Decision.ACCEPT


@dataclass(frozen=True, slots=True)
class Edit:
    """What somebody wants of one sample; None leaves a value as it is."""

    sample_id: str
    transcript: str | None = None
    speaker: str | None = None
    start_us: int | None = None
    end_us: int | None = None
    decision: Decision | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A transcript with where it comes from."""

    segment: Segment
    """Its times are those of the new sample."""
    origin: str


@dataclass(frozen=True, slots=True)
class NewSample:
    """A sample that is to be cut instead of others."""

    video: str
    predecessors: tuple[str, ...]
    text: Text
    speaker: str
    speaker_origin: str
    decision: Decision | None
    reason: str

    @property
    def span(self) -> tuple[int, int]:
        """Start and end in microseconds, before they are moved to pictures."""
        return self.text.segment.start_us, self.text.segment.end_us


@dataclass(frozen=True, slots=True)
class Change:
    """One value that changes, for people."""

    sample: str
    field: str
    old: str
    new: str


@dataclass(slots=True)
class CorrectionPlan:
    """Everything that is to be written."""

    texts: dict[str, str] = field(default_factory=dict)
    speakers: dict[str, str] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """By sample id."""
    cuts: list[NewSample] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    """Samples of which nothing changes."""


def tidy(text: str) -> str:
    """The text in composed form (NFC), with single spaces and without control characters."""
    spaced = "".join(" " if c.isspace() else c for c in unicodedata.normalize("NFC", text))
    return " ".join("".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cs")).split())


def seconds(time_us: int) -> str:
    """With three decimals, as tables have it."""
    return f"{time_us / 1e6:.3f}"


def span_text(span: tuple[int, int]) -> str:
    """A stretch of time, for people."""
    return f"{seconds(span[0])} to {seconds(span[1])} s"
