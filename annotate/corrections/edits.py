"""Corrections by hand as data: the edits that people ask for, and the plan of what they change."""

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum

from annotate.types import Segment


class InvalidCorrection(ValueError):
    """A correction that cannot be made; the message names the sample and the reason."""


class Decision(StrEnum):
    """A decision about a sample that overrules its checks; the value is shown to people."""

    ACCEPT = "accepted by hand"
    REJECT = "rejected by hand"
    FORGET = "as the checks say"
    """Revoke an earlier decision."""

    @property
    def accepted(self) -> bool | None:
        """The decision in the form of `db.checks.decide`."""
        return None if self is Decision.FORGET else self is Decision.ACCEPT


@dataclass(frozen=True, slots=True)
class Edit:
    """Requested changes of one sample; None leaves a value as it is."""

    sample_id: str
    transcript: str | None = None
    speaker: str | None = None
    start_us: int | None = None
    end_us: int | None = None
    decision: Decision | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SourcedText:
    """A transcript with its origin."""

    segment: Segment
    """The text with the times of the new sample."""
    origin: str


@dataclass(frozen=True, slots=True)
class NewSample:
    """A sample that will be cut and replaces others."""

    video: str
    predecessors: tuple[str, ...]
    text: SourcedText
    speaker: str
    speaker_origin: str
    decision: Decision | None
    reason: str

    @property
    def span(self) -> tuple[int, int]:
        """Start and end in microseconds, before they are moved to frames."""
        return self.text.segment.start_us, self.text.segment.end_us


@dataclass(frozen=True, slots=True)
class Change:
    """One changed value, for reports."""

    sample: str
    field: str
    old: str
    new: str


@dataclass(slots=True)
class CorrectionPlan:
    """All changes that will be written; dictionaries are by sample id."""

    texts: dict[str, str] = field(default_factory=dict)
    speakers: dict[str, str] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    cuts: list[NewSample] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    """Number of samples without a change."""


def tidy(text: str) -> str:
    """The text in composed form (NFC), with single spaces and without control characters."""
    spaced = "".join(" " if c.isspace() else c for c in unicodedata.normalize("NFC", text))
    return " ".join("".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cs")).split())


def seconds(time_us: int) -> str:
    """Seconds with three decimals, as in the tables."""
    return f"{time_us / 1e6:.3f}"


def span_text(span: tuple[int, int]) -> str:
    """Start and end in seconds, for messages."""
    return f"{seconds(span[0])} to {seconds(span[1])} s"
