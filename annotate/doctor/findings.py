"""The outcome of a check of `annotate doctor`."""

from dataclasses import dataclass
from enum import StrEnum

from annotate.wording import counted


class State(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict of one check."""

    state: State
    detail: str
    do: str = ""


def verdict(problems: list[str], well: str, noun: str, do: str, state: State = State.FAIL) -> Finding:
    """`well` when there are no `problems`; else their number, with `noun` as in `counted`, and the first."""
    if not problems:
        return Finding(State.OK, well)
    shown = "; ".join(problems[:3]) + ("; ..." if len(problems) > 3 else "")
    return Finding(state, f"{counted(len(problems), noun)}: {shown}", do)
