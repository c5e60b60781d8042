"""Answers that are no longer on the server: deleted by people, or lost when a backup was restored."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from annotate.types import Modality
from annotate.wording import counted
from db.live_answers import LiveAnswer

FEW = 5
"""How many answers of a pass may be deleted between two pulls without doubt."""
SHARE = 0.05
"""The same as a share of its answers; the larger of both counts."""
LISTED = 20
"""How many missing answers a report lists."""


@dataclass(frozen=True, slots=True)
class MissingAnswer:
    """One pulled answer that is no longer on the server."""

    sample: str
    modality: str
    rater: str
    ls_task: int
    annotation: int


@dataclass(frozen=True, slots=True)
class ServerAnswers:
    """The present tasks and answers of one pass on the server; mappings are by task number."""

    numbers: frozenset[int]
    """Numbers of all answers of the pass."""
    all_numbers: frozenset[int]
    """Numbers of all answers of all passes, because numbers are unique on the whole server."""
    changed_at: Mapping[int, str]
    """Time of the last change of each task."""
    changed: frozenset[int]
    """Numbers of tasks with an answer that is new, or changed since an earlier pull."""
    read_at: Mapping[int, str]
    """Time of the last change of each task when an earlier pull read it."""
    earlier: Mapping[int, Sequence[str]]
    """When each task that was read was made, and when each of its answers was last changed."""
    pushed_at: Mapping[int, datetime]
    """When each task that was known before this pull was sent."""


def doubt(missing: Sequence[LiveAnswer], live: int, server: ServerAnswers) -> str:
    """Why the missing answers may be lost instead of deleted by people; empty without doubt.

    `live` counts the pulled answers of the pass, including the missing ones.

    Label Studio never reuses a number, neither on SQLite (AUTOINCREMENT) nor on Postgres (a sequence), unless
    its database is replaced. So an answer above the highest number on the server, or one whose number belongs
    to another answer now, indicates a restored backup, unless every missing answer is known to be deleted.
    """
    if len(missing) > FEW and len(missing) > SHARE * live:
        return f"{len(missing)} of {counted(live, 'answer')} are gone at once"
    if any(answer.number in server.all_numbers for answer in missing):
        return "their numbers belong to other answers now"
    highest = max(server.numbers, default=0)
    if any(answer.number > highest for answer in missing):
        counts = Counter(answer.ls_task_id for answer in missing)
        alone = {task for task, count in counts.items() if count == 1}
        if not all(_deleted(answer, alone, server) for answer in missing):
            top = max(answer.number for answer in missing)
            return f"answer {top} was pulled, and the highest number on the server is {highest}"
    return ""


def describe(modality: Modality, answers: Sequence[LiveAnswer]) -> list[MissingAnswer]:
    """The rows of a report, the newest answer first."""
    newest_first = sorted(answers, key=lambda answer: -answer.number)
    return [MissingAnswer(a.sample_id, modality.value, a.rater, a.ls_task_id, a.number) for a in newest_first]


def _deleted(answer: LiveAnswer, alone: Collection[int], server: ServerAnswers) -> bool:
    """Whether the answer was certainly deleted on a server that had it; `alone`: tasks that miss one answer.

    A deletion changes the task later than the answer, later than an earlier pull read it, and without a
    change of another answer; a restored task is as old as the backup. If the server's clock went back
    meanwhile, the task or another answer is younger than the deleted answer, and nothing is certain. A task
    that is gone was deleted if there is a task with a higher number that was sent before the answer was
    pulled, because a backup with that task would contain the deleted one, too."""
    task = answer.ls_task_id
    if task not in server.changed_at:
        return any(number > task and sent < answer.stored_at for number, sent in server.pushed_at.items())
    changed = datetime.fromisoformat(server.changed_at[task])
    given = datetime.fromisoformat(answer.revision)
    before = [stamp for stamp in (answer.revision, server.read_at.get(task, "")) if stamp]
    return (
        task in server.earlier
        and all(datetime.fromisoformat(s) <= given for s in server.earlier[task])
        and task in alone
        and task not in server.changed
        and all(changed > datetime.fromisoformat(stamp) for stamp in before)
    )
