"""Asks open questions again that show an outdated transcript of their sample."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from annotate.project import Project
from annotate.wording import counted, either
from db import outbox, reask
from db.engine import reading, writing
from db.reask import Judged

if TYPE_CHECKING:
    from annotate.labelstudio.client import LabelStudioClient

LISTED = 5


def follow_transcripts(project: Project, client: "LabelStudioClient") -> int:
    """Withdraw open questions that show an outdated transcript, and queue them with the present one.

    For questions sent by an earlier version of this program or by an interrupted push, the shown text is
    first read from Label Studio. Returns how many were withdrawn. Raises `LabelStudioError`."""
    with reading(project.engine) as session:
        unknown = reask.without_known_text(session)
        servers = {
            row.ls_project_id: row.server
            for modality in reask.WITH_TEXT
            for row in outbox.ls_project_rows(session, modality)
        }
    for (ls_project_id, _), keys in unknown.items():
        ls_project = client.project(ls_project_id)
        if ls_project is None or ls_project.created_at != servers.get(ls_project_id):
            continue
        listed = client.find_by_keys(ls_project_id, keys)
        texts = {key: tasks[0].shown.get("text") for key, tasks in listed.items()}
        with writing(project.engine) as session:
            reask.note_texts(session, {key: text for key, text in texts.items() if text is not None})
    with writing(project.engine) as session:
        return reask.ask_again_with_new_text(session, project.settings.passes)


def judged_otherwise(judged: Sequence[Judged]) -> list[str]:
    """A message about finished questions whose raters saw another transcript than the sample has now."""
    if not judged:
        return []
    named = dict.fromkeys(question.sample_id for question in judged)
    listed = ", ".join(list(named)[:LISTED]) + (", ..." if len(named) > LISTED else "")
    return [
        f"{counted(len(judged), 'finished question')} {either(len(judged), 'was', 'were')} judged on another "
        f"transcript than the sample has now: {listed}; `annotate samples show SAMPLE` shows both, and "
        "exports say which text was judged"
    ]
