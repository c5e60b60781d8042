"""What a user asks of `annotate next-batch`."""

import re
from dataclasses import dataclass
from math import inf

from annotate.errors import UsageError

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


@dataclass(frozen=True, slots=True)
class Request:
    """The size and the kind of the batch to choose."""

    strategy: str
    whole: bool
    """Whether all remaining passes of a sample are asked together, or single questions are chosen."""
    n: int | None = None
    """Number of samples if `whole`, else number of questions."""
    budget_seconds: float | None = None
    """Time of all raters together."""
    tasks: tuple[str, ...] = ()
    """Ids of the tasks to ask about; empty means all of them."""
    seed: int | None = None
    device: str | None = None
    most_questions: int | None = None
    """Upper limit of the questions about whole samples; a sample that does not fit is left out."""


def read_budget(text: str) -> float:
    """Convert a duration such as ``2h``, ``90m``, ``1h30m`` or ``45s`` to seconds.

    Raises `UsageError` for anything else.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    parts = [float(part or 0) for part in match.groups()] if match else []
    seconds = sum(size * part for size, part in zip((3600, 60, 1), parts, strict=False))
    if not 0 < seconds < inf:
        raise UsageError(f"{text!r} is not a duration", hint="as in --budget 2h, 90m or 1h30m")
    return seconds
