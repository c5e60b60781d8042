"""Answers that were pulled and are not on the server any more: deleted by people, or lost with a backup."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from annotate.types import Modality
from annotate.wording import counted
from db.live_answers import LiveAnswer

FEW = 5
"""So many answers of a pass may be deleted between two pulls."""
SHARE = 0.05
"""Or this share of its answers."""
LISTED = 20
"""How many missing answers a report lists."""


@dataclass(frozen=True, slots=True)
class MissingAnswer:
    """One answer that was pulled and is gone."""

    sample: str
    modality: str
    rater: str
    ls_task: int
    annotation: int


@dataclass(frozen=True, slots=True)
class ServerAnswers:
    """What the server holds of one pass now."""

    numbers: frozenset[int]
    """Of every answer of the pass."""
    all_numbers: frozenset[int]
    """Of every answer of all passes: a number belongs to one answer of the whole server."""
    changed_at: Mapping[int, str]
    """By number of the task: time of its last change."""
    changed: frozenset[int]
    """Numbers of tasks with an answer that is new, or changed since an earlier pull."""
    read_at: Mapping[int, str]
    """By number of the task: time of its last change when it was read by an earlier pull."""
    earlier: Mapping[int, Sequence[str]]
    """By number of a task that was read: when it was made, and when each of its answers was last changed."""
    pushed_at: Mapping[int, datetime]
    """By number of a task that was known before this pull: when it was sent."""


def doubt(missing: Sequence[LiveAnswer], live: int, server: ServerAnswers) -> str:
    """Why the missing answers may not have been deleted by anybody; empty when they were.

    `live` counts the answers of the pass that were pulled, the missing ones included.

    Label Studio never gives a number twice, on SQLite (AUTOINCREMENT) or on Postgres (a sequence), unless its
    database is replaced. So an answer above the highest number on the server, or one whose number belongs to
    another answer now, tells of a restored backup, unless every missing answer is known to be deleted.
    """
    if len(missing) > FEW and len(missing) > SHARE * live:
        return f"{len(missing)} of {counted(live, 'answer')} are gone at once"
    if any(answer.number in server.all_numbers for answer in missing):
        return "their numbers belong to other answers now"
    highest = max(server.numbers, default=0)
    if any(answer.number > highest for answer in missing):
        alone = _alone(missing)
        if not all(_deleted(answer, alone, server) for answer in missing):
            top = max(answer.number for answer in missing)
            return f"answer {top} was pulled, and the highest number on the server is {highest}"
    return ""


def describe(modality: Modality, answers: Sequence[LiveAnswer]) -> list[MissingAnswer]:
    """The rows of a report, the newest answer first."""
    newest_first = sorted(answers, key=lambda answer: -answer.number)
    return [MissingAnswer(a.sample_id, modality.value, a.rater, a.ls_task_id, a.number) for a in newest_first]


def _alone(missing: Sequence[LiveAnswer]) -> set[int]:
    """Tasks that miss exactly one answer."""
    counts = Counter(answer.ls_task_id for answer in missing)
    return {task for task, count in counts.items() if count == 1}


def _deleted(answer: LiveAnswer, alone: Collection[int], server: ServerAnswers) -> bool:
    """Whether somebody deleted the answer on a server that had held it.

    A deletion changes the task later than the answer, later than an earlier pull read it, and without a
    change of another answer; a restored task is as old as the backup. Where the server's clock went back
    meanwhile, nothing is known: the task or another answer is then younger than the deleted answer. A task
    that is gone was deleted when a task with a higher number is there that was sent before the answer was
    pulled: a backup with the one holds the other, too.
    """
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
