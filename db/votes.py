"""What each rater said, one answer at a time, for replays in which every question costs a real vote."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate import types
from annotate.types import Task
from db.chunks import chunks
from db.labels import _answers, label
from db.models import Annotation


def read_votes(session: Session, tasks: Sequence[Task]) -> dict[tuple[str, str], tuple[str, ...]]:
    """By (sample id, task id): the live answer of each rater, in the order of the raters' ids."""
    by_id = {task.id: task for task in tasks}
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for some in chunks(sorted(set(session.scalars(select(Annotation.sample_id))))):
        for key, said in _answers(session, some, by_id).items():
            found[key] = tuple(said[rater] for rater in sorted(said))
    return found


def agreed(sample_id: str, task: Task, said: Sequence[str]) -> types.Label:
    """The label that these answers make, as `rebuild_labels` makes it."""
    row = label(sample_id, task, said)
    value = row.category if row.number is None else row.number
    assert value is not None
    return types.Label(sample_id, task.id, value, dict(row.distribution), row.raters)
