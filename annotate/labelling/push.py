"""Pushes every queued question into Label Studio exactly once, also after interrupted pushes."""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from annotate.corpus.clips import fetch_questions
from annotate.durable import write_whole
from annotate.errors import LabelStudioError
from annotate.labelling.take_down import take_down
from annotate.labelling.transcripts_shown import follow_transcripts
from annotate.labelstudio.client import MODEL_VERSION, LabelStudioClient, UnsureOutcome
from annotate.labelstudio.convert import question
from annotate.labelstudio.interface import labeling_config
from annotate.labelstudio.payloads import ListedTask, StudioProject
from annotate.progress import SILENT, Bar, Progress
from annotate.project import Project
from annotate.types import Form, Modality
from annotate.wording import counted, either
from db import outbox, reask, withdrawals
from db.engine import reading, writing
from db.outbox import QueuedQuestion

CHUNK = 1000
MARKER_FILE = ".annotate.marker"
TITLE = 50
"""Maximum length of a project title in Label Studio."""
PAUSES = (0.0, 0.5, 2.0)
"""Seconds before each try: a slow server may still be storing an earlier request."""


@dataclass(frozen=True, slots=True)
class PushReport:
    """The result of a push."""

    pushed: int
    """Queued questions that are in Label Studio now, including those that were there already."""
    already_there: int
    """Questions that were there already, from an interrupted push."""
    passes: dict[str, int] = field(default_factory=dict)
    """Pushed questions by pass."""
    problems: list[str] = field(default_factory=list)
    asked_again: int = 0
    """Open questions that showed an outdated transcript, and were withdrawn and queued again."""


def push_outbox(project: Project, client: LabelStudioClient, *, progress: Progress = SILENT) -> PushReport:
    """Push every queued question; the caller holds `project.writing()`.

    Each is looked up by its key before it is sent, so the next push completes one that was killed at any
    moment. Questions whose media file is gone are withdrawn. Raises `LabelStudioError`, or `StorageError`
    when clips cannot be fetched; what was pushed until then stays, the rest stays queued."""
    with outbox.sole_pusher(project.engine):
        fetch_questions(project, progress)
        problems = _withdraw_without_media(project)
        asked_again = follow_transcripts(project, client)
        take_down(project, client, progress)
        with reading(project.engine) as session:
            queued = outbox.queued(session)
        counts: Counter[str] = Counter()
        already_there = 0
        with progress.bar("sending questions", len(queued)) as bar:
            for form in dict.fromkeys(item.form for item in queued):
                items = [item for item in queued if item.form == form]
                already_there += _push_form(project, client, form, items, bar, problems)
                counts[form.modality.value] += len(items)
    ordered = {m.value: counts[m.value] for m in project.settings.passes if counts[m.value]}
    return PushReport(sum(counts.values()), already_there, ordered, problems, asked_again)


def known_ls_project(project: Project, client: LabelStudioClient, form: Form) -> StudioProject | None:
    """The project on this server with the questions of a form, or None if the database knows of none."""
    with reading(project.engine) as session:
        rows = outbox.ls_project_rows(session, form.modality, form.dimensions)
        known = [(row.ls_project_id, row.server) for row in rows]
    for ls_project_id, created_at in known:
        ls_project = client.project(ls_project_id)
        if ls_project is not None and ls_project.created_at == created_at:
            return ls_project
    return None


def asked_forms(project: Project, client: LabelStudioClient, passes: Sequence[Modality]) -> list[Form]:
    """Every form whose answers belong to this project: those of `passes`, and all that were ever asked.

    Forms about some of the dimensions are also searched on the server, because a database that was restored
    from a backup may not know them. Raises `LabelStudioError`.
    """
    with reading(project.engine) as session:
        known = outbox.asked_forms(session)
    marker, forms_on_server = known_marker(project), []
    if marker:
        own = re.compile(rf"{re.escape(marker)}:([a-z0-9_,]+):([{''.join(Modality)}])(?![A-Za-z])")
        marked = [own.search(listed.description) for listed in client.marked_projects(f"{marker}:")]
        forms_on_server = [Form(Modality(match[2]), match[1]) for match in marked if match]
    return list(dict.fromkeys([*map(Form, passes), *known, *sorted(forms_on_server)]))


def leave_lost_project(project: Project, form: Form) -> int:
    """Withdraw the questions that were open in a Label Studio project that is gone; returns how many."""
    with writing(project.engine) as session:
        return outbox.leave_lost_project(session, form)


def follow_raters(
    project: Project, client: LabelStudioClient, form: Form, ls_project: StudioProject
) -> list[str]:
    """Set the number of raters per question to that of the settings; returns messages about changes.

    The database changes before the server, so the next call completes a change that crashed between the two.
    """
    raters = project.settings.protocol.raters
    if ls_project.raters == raters:
        return []
    with writing(project.engine) as session:
        asked = outbox.asked_questions(session, ls_project.id, form.modality)
        reopened = outbox.reopen_unanswered(session, {item.id for item in asked}, raters)
        withdrawals.serve_again(session, ls_project.id)
    client.change_raters(ls_project.id, raters)
    asked_again = (
        f"{counted(reopened, 'question')} that fewer have judged {either(reopened, 'is', 'are')} open again"
    )
    again = f"; {asked_again}" if reopened else ""
    return [f"the {form.words} asks {raters} people now, not {ls_project.raters}{again}"]


def known_marker(project: Project) -> str:
    """The marker of this project's Label Studio projects; empty when nothing was ever sent.

    A file beside annotate.toml holds it, too, so that a database restored from a backup older than the first
    question still finds its projects.
    """
    with reading(project.engine) as session:
        stored = outbox.stored_marker(session)
    if stored:
        return stored
    with suppress(FileNotFoundError):
        kept = (project.root / MARKER_FILE).read_text(encoding="utf-8").strip()
        return kept if kept.startswith("annotate:") else ""
    return ""


def _marker(project: Project, form: Form) -> str:
    """The marker of the Label Studio project of a form; no form's marker is contained in another's."""
    known = known_marker(project)
    with writing(project.engine) as session:
        marker = outbox.marker(session, known)
    file = project.root / MARKER_FILE
    if not file.is_file() or file.read_text(encoding="utf-8").strip() != marker:
        write_whole(file, f"{marker}\n".encode())
    return ":".join(part for part in (marker, form.dimensions, form.modality.value) if part)


def find_ls_project(project: Project, client: LabelStudioClient, form: Form) -> StudioProject | None:
    """The project on this server with the questions of a form, even if the database does not know it."""
    ls_project = known_ls_project(project, client, form)
    if ls_project is not None or not known_marker(project):
        return ls_project
    marked = client.marked_project(_marker(project, form))
    with writing(project.engine) as session:
        rows = outbox.ls_project_rows(session, form.modality)
        if marked is None or marked.created_at in {row.server for row in rows}:
            return None
        outbox.remember_project(session, form.modality, marked.created_at, marked.id, "", form.dimensions)
    return marked


def _withdraw_without_media(project: Project) -> list[str]:
    with reading(project.engine) as session:
        queued = outbox.queued(session)
    lost = []
    for item in queued:
        file = project.media / _media_path(item)
        whole = file.is_file() and file.stat().st_size > 0 and not _is_linked(project, item)
        if item.modality is not Modality.TEXT and not whole:
            lost.append(item)
    if not lost:
        return []
    with writing(project.engine) as session:
        outbox.withdraw(session, [item.id for item in lost], "its media file is gone")
    linked = {item.id for item in lost if _is_linked(project, item)}
    links, gone = (
        [item for item in lost if (item.id in linked) is linked_files] for linked_files in (True, False)
    )
    problems = []
    if gone:
        problems.append(
            f"{counted(len(gone), 'question')} withdrawn, because media are gone ({_names(gone)}): "
            "run `annotate ingest` again"
        )
    if links:
        problems.append(
            f"{counted(len(links), 'question')} withdrawn, because symbolic links below the media folder are "
            f"not served ({_names(links)}): name the folder in which the files lie as storage.media in "
            "annotate.toml"
        )
    return problems


def _names(items: Sequence[QueuedQuestion]) -> str:
    return ", ".join(_media_path(item) for item in items[:3]) + (", ..." if len(items) > 3 else "")


def _is_linked(project: Project, item: QueuedQuestion) -> bool:
    """Whether the file of a question exists, but is a symbolic link or below one in the media folder."""
    path = _media_path(item)
    file = project.media / path
    return file.is_file() and file.resolve() != project.media.resolve() / path


def _media_path(item: QueuedQuestion) -> str:
    """Path of the one file that the pass may show, relative to the media folder."""
    suffix = "wav" if item.modality is Modality.AUDIO else "mp4"
    return f"{item.modality.value}/{item.sample_id[:2]}/{item.sample_id}.{suffix}"


def _push_form(
    project: Project, client: LabelStudioClient, form: Form, items: Sequence[QueuedQuestion],
    bar: Bar, problems: list[str],
) -> int:  # fmt: skip
    """Push the questions of a form; returns how many were there already."""
    ls_project = _ensure_ls_project(project, client, form)
    problems += follow_raters(project, client, form, ls_project)
    ordered = ls_project.model_version == MODEL_VERSION
    already_there = 0
    for start in range(0, len(items), CHUNK):
        chunk = items[start : start + CHUNK]
        ls_task_ids, existing = _place(client, ls_project.id, chunk)
        if not ordered:
            client.set_model_version(ls_project.id)
            ordered = True
        with writing(project.engine) as session:
            outbox.mark_open(session, ls_project.id, {i.id: ls_task_ids[i.key] for i in chunk})
            # A task that was there already may show an outdated text; the next call reads it.
            reask.note_texts(session, {i.key: i.transcript for i in chunk if i.key not in existing})
        already_there += len(existing)
        bar.advance(len(chunk), note=form.modality.word)
    return already_there


def _ensure_ls_project(project: Project, client: LabelStudioClient, form: Form) -> StudioProject:
    """The form's project on this server, created if necessary, with the page of the present settings."""
    settings, modality = project.settings, form.modality
    dimensions = [dimension for dimension in settings.dimension_list() if form.asks(dimension.name)]
    page = labeling_config(modality, dimensions, own_server=not settings.labelstudio.url)
    page_hash = hashlib.sha256(page.encode()).hexdigest()
    marker = _marker(project, form)
    # A project that was created just before a crash is found by its marker.
    ls_project = known_ls_project(project, client, form) or client.marked_project(marker)
    if ls_project is None:
        leave_lost_project(project, form)
        ls_project = client.create_project(
            project_title(settings.project.name, form), marker, page, settings.protocol.raters
        )
    elif ls_project.label_config != page:
        # The settings changed, or somebody changed the page in Label Studio.
        try:
            client.change_page(ls_project.id, page)
        except UnsureOutcome:
            raise
        except LabelStudioError as error:
            raise LabelStudioError(
                f"answers to the {form.words} no longer fit the dimensions in annotate.toml: {error}",
                hint="restore the earlier dimensions, or begin a new project with `annotate init`",
            ) from error
    if modality is not Modality.TEXT:
        client.serve_folder(ls_project.id, str(project.media / modality.value))
    with writing(project.engine) as session:
        outbox.remember_project(
            session, modality, ls_project.created_at, ls_project.id, page_hash, form.dimensions
        )
    return ls_project


def project_title(name: str, form: Form) -> str:
    """The title that raters see in the list of projects, such as ``corpus M multimodal: emotion``."""
    only = f": {', '.join(form.names)}" if form.names else ""
    title = f"{name[: 15 if only else 30]} {form.modality.value} {form.modality.word}{only}"
    return title if len(title) <= TITLE else f"{title[: TITLE - 3]}..."


def _place(
    client: LabelStudioClient, ls_project_id: int, items: Sequence[QueuedQuestion]
) -> tuple[dict[str, int], set[str]]:
    """The task number of each key, and the keys that were there already; tried a few times."""
    failure: UnsureOutcome | None = None
    for pause in PAUSES:
        time.sleep(pause)
        try:
            tasks_by_key = client.find_by_keys(ls_project_id, [item.key for item in items])
            placed = {key: _keep_one(client, same) for key, same in tasks_by_key.items()}
            missing = [item for item in items if item.key not in placed]
            if missing:
                tasks = [
                    question(i.modality, i.key, i.sample_id, i.transcript, _media_path(i), i.score)
                    for i in missing
                ]
                numbers = client.import_tasks(ls_project_id, tasks)
                placed |= {item.key: number for item, number in zip(missing, numbers, strict=True)}
            return placed, set(tasks_by_key)
        except UnsureOutcome as error:
            failure = error
    raise failure or AssertionError("PAUSES is empty")


def _keep_one(client: LabelStudioClient, doubled: Sequence[ListedTask]) -> int:
    """Delete all tasks with one key but an answered one or the oldest; returns its number.

    A slow server may store an import after the push gave up and sent it again.
    """
    kept = min(doubled, key=lambda task: (task.annotations == 0, task.id))
    for task in doubled:
        if task is not kept and not task.annotations:
            client.delete_task(task.id)
    return kept.id
