"""What an executor tells of the units that it works on."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

U = TypeVar("U")

R = TypeVar("R")


class Failure(StrEnum):
    """Why a unit has no value."""

    TIMEOUT = "timeout"
    """It got nowhere until its deadline and was killed."""
    DIED = "died"
    """Its process ended without an answer: a crash, a kill, or no memory left."""
    ERROR = "error"
    """It raised; the message is the traceback."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What a worker tells of itself while it is busy."""

    done_us: int = 0
    """How far into the footage it is; 0 where that is not known."""
    of_us: int = 0
    """How long the footage is; 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class Working(Generic[U]):
    """A unit that a worker has begun, or gets on with. No outcome: one follows."""

    unit: U
    sign: Sign


@dataclass(frozen=True, slots=True)
class Finished(Generic[U, R]):
    """A unit and what the function made of it."""

    unit: U
    value: R


@dataclass(frozen=True, slots=True)
class Failed(Generic[U]):
    """A unit that has no value."""

    unit: U
    kind: Failure
    message: str
