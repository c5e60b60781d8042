"""Pulls the answers of all passes, and updates the states of the questions."""

from collections.abc import Mapping
from dataclasses import dataclass

from annotate.errors import NothingToDo
from annotate.labelling.labels import rebuild_labels
from annotate.labelling.pull_pass import Missing, PullContext, ReadPass, Tally, read_pass, settle_missing
from annotate.labelling.push import (
    asked_forms,
    find_ls_project,
    follow_raters,
    known_ls_project,
    known_marker,
    leave_lost_project,
)
from annotate.labelstudio.client import LabelStudioClient
from annotate.progress import SILENT, Bar, Progress
from annotate.project import Project
from annotate.types import Form, Modality
from annotate.wording import counted
from db import outbox
from db.engine import reading, writing


@dataclass(frozen=True, slots=True)
class Advanced:
    """Questions that changed their state because of new answers or settings."""

    closed: int
    """Answered or skipped by the required number of raters."""
    withdrawn: int
    """Not sent yet, and no longer needed."""
    released: int
    """Multimodal questions whose earlier passes are closed now."""


def require_asked(project: Project, *, on_server: bool = False) -> None:
    """Raise `NothingToDo` when no question was ever sent; `on_server`: whether the server was read.

    Before that, a project with a marker passes, because Label Studio may hold questions that a restored
    database does not know.
    """
    with reading(project.engine) as session:
        asked = outbox.asked_forms(session) or outbox.queued(session)
    if not asked and (on_server or not known_marker(project)):
        raise NothingToDo("nothing was asked yet", hint="annotate next-batch -n 20")


def asked_passes(project: Project) -> list[Modality]:
    """The passes of the protocol, then its former passes, whose answers are pulled as well."""
    with reading(project.engine) as session:
        forms = outbox.asked_forms(session)
    return list(dict.fromkeys([*project.settings.passes, *(form.modality for form in forms)]))


def pull_answers(
    project: Project, client: LabelStudioClient, *, full: bool = False,
    when_missing: Missing = Missing.REPORT, progress: Progress = SILENT,
) -> Tally:  # fmt: skip
    """Store the new and changed answers of every pass, then settle the missing ones.

    The labels of the affected samples are made again. `full` reads every answer again. The caller holds
    `project.writing()` and `outbox.sole_labeller`. Raises `LabelStudioError`; answers stored until then stay.
    """
    tally = Tally()
    emails = client.emails()
    passes = []
    with progress.bar("reading answers", None) as bar:
        for form in asked_forms(project, client, project.settings.passes):
            read = _read_form(project, client, form, emails, full, tally, bar)
            if read is not None:
                passes.append(read)
    settle_missing(passes, when_missing)
    return tally


def advance_questions(project: Project, *, rebuild: bool = False) -> Advanced:
    """Close answered questions, withdraw unneeded ones, and queue those whose earlier passes are closed.

    `rebuild` makes every label again in the same transaction. The caller holds `project.writing()`.
    """
    settings = project.settings
    dimensions = [dimension.name for dimension in settings.dimension_list()]
    with writing(project.engine) as session:
        closed = outbox.close_answered(session, settings.protocol.raters)
        withdrawn = outbox.withdraw_unwanted(session, settings.passes, dimensions)
        released = outbox.release(session, settings.passes)
        if rebuild:
            rebuild_labels(session, settings.tasks())
    return Advanced(closed, withdrawn, released)


def _read_form(
    project: Project, client: LabelStudioClient, form: Form, emails: Mapping[int, str],
    full: bool, tally: Tally, bar: Bar,
) -> ReadPass | None:  # fmt: skip
    """Store the new answers to a form; None if this Label Studio has no project for it."""
    ls_project = find_ls_project(project, client, form)
    if ls_project is not None:
        tally.problems += follow_raters(project, client, form, ls_project)
        return read_pass(PullContext(project, client, form, ls_project, emails, tally), full=full, bar=bar)
    with reading(project.engine) as session:
        known = outbox.asked_forms(session)
    if form in known:
        _leave_missing_project(project, client, form, [other for other in known if other != form], tally)
    return None


def _leave_missing_project(
    project: Project, client: LabelStudioClient, form: Form, others: list[Form], tally: Tally
) -> None:
    """Withdraw the open questions of a form whose project was deleted.

    It was deleted if this is the server that had it: the local one, or one with the project of another form.
    Otherwise the address may be wrong, and nothing is withdrawn.
    """
    is_local = not project.settings.labelstudio.url
    if is_local or any(known_ls_project(project, client, other) for other in others):
        lost = leave_lost_project(project, form)
        tally.withdrawn += lost
        if lost:
            tally.problems.append(
                f"the {form.words} was deleted in Label Studio with "
                f"{counted(lost, 'open question')}: "
                "`annotate next-batch` can ask them again; answers that were pulled are kept"
            )
        return
    tally.problems.append(
        f"the questions of the {form.words} are not on {client.base_url}: "
        "if that is the wrong Label Studio, correct labelstudio.url; answers given there are kept"
    )
