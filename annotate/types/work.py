"""Outcomes that an executor yields for its units of work."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

U = TypeVar("U")

R = TypeVar("R")


class Failure(StrEnum):
    """Why a unit has no value."""

    TIMEOUT = "timeout"
    """It made no progress until its deadline and was killed."""
    DIED = "died"
    """Its process ended without a result: a crash, a kill, or no memory left."""
    ERROR = "error"
    """It raised; the message is the traceback."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent by a busy worker, so that its deadline starts anew."""

    done_us: int = 0
    """How far into the footage it is, in microseconds; 0 where that is not known."""
    of_us: int = 0
    """Length of the footage in microseconds; 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class Working(Generic[U]):
    """A worker has begun a unit, or made progress with it. A final outcome follows."""

    unit: U
    heartbeat: Heartbeat


@dataclass(frozen=True, slots=True)
class Finished(Generic[U, R]):
    """A unit and the value that the function returned for it."""

    unit: U
    value: R


@dataclass(frozen=True, slots=True)
class Failed(Generic[U]):
    """A unit that has no value."""

    unit: U
    kind: Failure
    message: str
