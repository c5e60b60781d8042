"""Removes withdrawn questions from the queue of Label Studio."""

from typing import TYPE_CHECKING

from annotate.errors import LabelStudioError
from annotate.labelling.connection import connect
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.types import Modality
from annotate.wording import counted
from db import outbox, withdrawals
from db.engine import reading, writing

if TYPE_CHECKING:
    from annotate.labelstudio.client import LabelStudioClient

CHUNK = 100


def take_down(project: Project, client: "LabelStudioClient", progress: Progress = SILENT) -> int:
    """Remove withdrawn questions from Label Studio's queue; returns how many could not be removed.

    The tasks are not deleted: Label Studio keeps their answers, and a rater who has one open may still answer
    it. Questions of a project on another server are skipped. The caller holds `project.writing()`. Raises
    `LabelStudioError`; questions removed until then stay removed.
    """
    with reading(project.engine) as session:
        served = withdrawals.still_served(session)
    if not served:
        return 0
    projects_here: dict[Modality, set[int]] = {}
    """Numbers of the projects of each pass that are on this server."""
    for modality in {question.modality for question in served}:
        with reading(project.engine) as session:
            known = [(row.ls_project_id, row.server) for row in outbox.ls_project_rows(session, modality)]
        projects_here[modality] = {
            number
            for number, created_at in known
            if (at := client.project(number)) is not None and at.created_at == created_at
        }
    reachable = [q for q in served if q.ls_project_id in projects_here[q.modality]]
    with progress.bar("withdrawing questions", len(reachable)) as bar:
        for start in range(0, len(reachable), CHUNK):
            chunk = reachable[start : start + CHUNK]
            missing = {q.id for q in chunk if not client.take_from_queue(q.ls_task_id)}
            with writing(project.engine) as session:
                withdrawals.mark_taken_down(session, {q.id for q in chunk} - missing)
                withdrawals.forget_place(session, missing)
            bar.advance(len(chunk))
    return len(served) - len(reachable)


def take_down_if_reachable(project: Project, progress: Progress = SILENT) -> list[str]:
    """`take_down` if Label Studio can be reached; returns a warning about questions that are left."""
    with reading(project.engine) as session:
        served = len(withdrawals.still_served(session))
    if not served:
        return []
    try:
        with connect(project) as client:
            left = take_down(project, client, progress)
    except LabelStudioError as error:
        with reading(project.engine) as session:
            left = len(withdrawals.still_served(session))
        return [_later(left, str(error))]
    return [_later(left, "their project is on another server")] if left else []


def _later(questions: int, reason: str) -> str:
    which = counted(questions, "withdrawn question")
    return (
        f"Label Studio still shows {which} ({reason}): the next `annotate pull` or `annotate next-batch` "
        "withdraws them there, too; what is answered until then is kept on record"
    )
