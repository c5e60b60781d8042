"""Bring home what raters did in Label Studio, make labels of it, and send on what waited for it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from annotate.errors import NothingToDo
from annotate.labelstudio.client import EVER, LabelStudioClient, ListedTask, StudioProject
from annotate.labelstudio.convert import Statement, Unreadable, statement
from annotate.progress import SILENT, Bar, Progress
from annotate.project import Project
from annotate.steps._push import (
    PushReport,
    follow_raters,
    known_ls_project,
    leave_lost_project,
    push_outbox,
)
from annotate.steps._studio import connect
from annotate.types import Modality, Task
from db import annotations, labels, outbox, withdrawals
from db.annotations import Change, History, Revision
from db.engine import reading, writing
from db.models import BatchItem, now

OVERLAP = timedelta(seconds=60)
"""Label Studio stamps a change before it commits it, so the last minute is read again."""


@dataclass(frozen=True, slots=True)
class PassReport:
    """What was new in one pass; each of a rater's forms counts once, however many dimensions it asks."""

    answers: int = 0
    edits: int = 0
    skips: int = 0
    deletions: int = 0


@dataclass(frozen=True, slots=True)
class PullReport:
    """What came home, and what that set going."""

    passes: dict[str, PassReport]
    closed: int
    """Questions that every rater asked for has answered or skipped now."""
    withdrawn: int
    """Questions deleted in Label Studio, whose samples can be asked again, or no longer wanted."""
    released: int
    """Multimodal questions that waited for this."""
    pushed: int
    labels: dict[str, int]
    """By task, all there are now."""
    problems: list[str] = field(default_factory=list)
    next: str = ""


@dataclass
class _Tally:
    changes: Counter[tuple[Modality, str]] = field(default_factory=Counter)
    withdrawn: int = 0
    problems: list[str] = field(default_factory=list)

    def of(self, modality: Modality) -> PassReport:
        count = self.changes
        return PassReport(
            answers=count[modality, Change.ANSWER],
            edits=count[modality, Change.EDIT],
            skips=count[modality, Change.SKIP],
            deletions=count[modality, annotations.DELETED],
        )


@dataclass(frozen=True)
class _Pass:
    """One pass on its way home."""

    project: Project
    client: LabelStudioClient
    modality: Modality
    ls_project: StudioProject
    emails: Mapping[int, str]
    tally: _Tally

    @property
    def server(self) -> str:
        return self.ls_project.created_at

    @property
    def tasks(self) -> tuple[Task, ...]:
        return self.project.settings.tasks(self.modality)


def pull(project: Project, *, full: bool = False, progress: Progress = SILENT) -> PullReport:
    """Store every revision of every rater's annotation since the last pull, and make the labels again.

    `full` reads everything again. Multimodal questions whose earlier passes are closed now are pushed.
    Raises `NothingToDo` when nothing was ever asked, and `LabelStudioError`; what was stored until then
    stays, and the next pull goes on from there.
    """
    _require_asked(project)
    tally = _Tally()
    with connect(project) as client, project.writing():
        emails = client.emails()
        with progress.bar("reading answers", None) as bar:
            for modality in _asked_passes(project):
                _pull_pass(project, client, modality, emails, full, tally, bar)
        passes = project.settings.passes
        with writing(project.engine) as session:
            closed = outbox.close_answered(session, project.settings.protocol.raters)
            tally.withdrawn += outbox.withdraw_unwanted(session, passes)
            released = outbox.release(session, passes)
        pushed = push_outbox(project, client, progress=progress)
    return _report(project, tally, closed, released, pushed)


def _require_asked(project: Project) -> None:
    with reading(project.engine) as session:
        if not outbox.ls_projects(session) and not outbox.queued(session):
            raise NothingToDo("nothing was asked yet", hint="annotate next-batch -n 20")


def _asked_passes(project: Project) -> list[Modality]:
    """Those of the protocol, and those it had before: what is answered there comes home too."""
    passes = project.settings.passes
    with reading(project.engine) as session:
        return [*passes, *(m for m in outbox.ls_projects(session) if m not in passes)]


def _pull_pass(
    project: Project, client: LabelStudioClient, modality: Modality, emails: Mapping[int, str],
    full: bool, tally: _Tally, bar: Bar,
) -> None:  # fmt: skip
    ls_project = known_ls_project(project, client, modality)
    with reading(project.engine) as session:
        rows = outbox.ls_project_rows(session, modality)
        cursor = next((r.cursor for r in rows if ls_project and r.server == ls_project.created_at), "")
    if ls_project is None:
        if rows:
            _miss(project, client, modality, tally)
        return
    tally.problems += follow_raters(project, client, modality, ls_project)
    way = _Pass(project, client, modality, ls_project, emails, tally)
    latest = cursor
    for page in client.changed_tasks(ls_project.id, EVER if full else _since(cursor)):
        _store_page(way, page)
        latest = max([latest, *(ls_task["updated_at"] for ls_task in page)], key=_time)
        bar.advance(len(page), note=modality.word)
    listed = _listing(way, full)
    with writing(project.engine) as session:
        # The cursor moves last: whatever it has passed is stored.
        outbox.move_cursor(session, modality, way.server, latest)
    if listed is not None:
        _follow_deletions(way, listed)
        _remove_doubles(way, listed)


def _miss(project: Project, client: LabelStudioClient, modality: Modality, tally: _Tally) -> None:
    """The project of a pass is not there: deleted, if this is the server that had it."""
    others = (m for m in project.settings.passes if m is not modality)
    own = not project.settings.labelstudio.url
    if own or any(known_ls_project(project, client, other) for other in others):
        lost = leave_lost_project(project, modality)
        tally.withdrawn += lost
        if lost:
            tally.problems.append(
                f"the {modality.word} pass was deleted in Label Studio with {lost} open questions: "
                "`annotate next-batch` can ask them again; answers that were pulled are kept"
            )
        return
    tally.problems.append(
        f"the questions of the {modality.word} pass are not on {client.base_url}: "
        "if that is the wrong Label Studio, mend labelstudio.url; answers given there are kept"
    )


def _time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp or EVER)


def _since(cursor: str) -> str:
    if not cursor:
        return EVER
    return (_time(cursor) - OVERLAP).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class _Found:
    """What one transaction found; counted only when it is committed."""

    changes: Counter[tuple[Modality, str]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    shrunk: set[int] = field(default_factory=set)
    """Questions that lost an answer."""

    def add_to(self, tally: _Tally) -> None:
        tally.changes += self.changes
        tally.problems += self.problems


def _store_page(way: _Pass, page: Sequence[Mapping[str, Any]]) -> None:
    """Rows, labels and reopened questions of some LS tasks, in one transaction."""
    found = _Found()
    with writing(way.project.engine) as session:
        by_key = outbox.questions_by_key(session, [_key(ls_task) for ls_task in page])
        items = {key: item for key, item in by_key.items() if item.modality == way.modality}
        history = History(session, items.values())
        for ls_task in page:
            if _key(ls_task) in items:
                _store_ls_task(way, history, items[_key(ls_task)], ls_task, found)
        outbox.reopen_unanswered(session, found.shrunk, way.project.settings.protocol.raters)
        touched = {item.sample_id for item in items.values()}
        labels.rebuild_labels(session, way.tasks, touched)
    found.add_to(way.tally)


def _key(ls_task: Mapping[str, Any]) -> str:
    return str(ls_task["data"].get("key", ""))


def _store_ls_task(
    way: _Pass, history: History, item: BatchItem, ls_task: Mapping[str, Any], found: _Found
) -> None:
    present = []
    for annotation in ls_task["annotations"]:
        number = annotation.get("id") if isinstance(annotation, dict) else None
        if isinstance(number, int):
            present.append(number)
        try:
            said = statement(annotation, way.project.settings.dimension_list())
        except Unreadable as error:
            _complain(way, history, item, number, "", (str(error),), found)
            continue
        change = history.add(item, _revision(way, said, annotation), [task.id for task in way.tasks])
        if change is not Change.NONE:
            found.changes[way.modality, change] += 1
            _complain(way, history, item, number, said.revision, said.problems, found)
    gone = history.take_back(item, ls_task["id"], way.server, present, _time(ls_task["updated_at"]))
    if gone:
        found.changes[way.modality, annotations.DELETED] += gone
        found.shrunk.add(item.id)


def _revision(way: _Pass, said: Statement, raw: dict[str, Any]) -> Revision:
    return Revision(
        origin=f"{way.server}#{said.annotation_id}",
        revision=said.revision,
        annotator=way.emails.get(said.rater, f"user:{said.rater}"),
        created_at=said.created_at,
        changed_at=said.changed_at,
        seconds=said.seconds,
        skipped=said.skipped,
        values={f"{name}.{way.modality.value}": alias for name, alias in said.answers.items()},
        raw=raw,
    )


def _complain(
    way: _Pass, history: History, item: BatchItem, number: object, revision: str,
    problems: Iterable[str], found: _Found,
) -> None:  # fmt: skip
    """An answer that cannot be used is kept in the audit trail and told once."""
    for problem in problems:
        facts = {"origin": f"{way.server}#{number}", "revision": revision, "problem": problem}
        if history.note_unusable({**facts, "sample": item.sample_id, "modality": item.modality}):
            found.problems.append(
                f"annotation {number} of sample {item.sample_id} ({way.modality.word}): {problem}; "
                "delete it in Label Studio to have it asked again"
            )


def _listing(way: _Pass, full: bool) -> list[ListedTask] | None:
    """Every LS task, when it is worth reading: deleted ones show in no other way. None: all are there."""
    with reading(way.project.engine) as session:
        expected = len(outbox.asked_questions(session, way.ls_project.id, way.modality))
        expected += withdrawals.count_kept(session, way.ls_project.id, way.modality)
    if not full and way.client.count_tasks(way.ls_project.id) == expected:
        return None
    return way.client.tasks(way.ls_project.id)


def _follow_deletions(way: _Pass, listed: Sequence[ListedTask]) -> None:
    """Whose LS task was deleted is withdrawn, and what was said there is not said any more."""
    numbers = {ls_task.id for ls_task in listed}
    by_key = {ls_task.key: ls_task.id for ls_task in reversed(listed)}
    found, withdrawn = _Found(), []
    with writing(way.project.engine) as session:
        missing = {
            number: item
            for number, item in outbox.asked_questions(session, way.ls_project.id, way.modality).items()
            if number not in numbers
        }
        history = History(session, missing.values())
        for number, item in missing.items():
            gone = history.take_back(item, number, way.server, (), now())
            found.changes[way.modality, annotations.DELETED] += gone
            if item.key in by_key:
                item.ls_task_id = by_key[item.key]
            else:
                withdrawn.append(item.id)
        outbox.withdraw(session, withdrawn, "deleted in Label Studio")
        touched = {item.sample_id for item in missing.values()}
        labels.rebuild_labels(session, way.tasks, touched)
    found.add_to(way.tally)
    way.tally.withdrawn += len(withdrawn)


def _remove_doubles(way: _Pass, listed: Sequence[ListedTask]) -> None:
    """A question may stand there twice when a slow server stored an import that was given up."""
    with reading(way.project.engine) as session:
        ours = {
            item.key: number
            for number, item in outbox.asked_questions(session, way.ls_project.id, way.modality).items()
        }
    for ls_task in listed:
        if ls_task.key in ours and ls_task.id != ours[ls_task.key] and not ls_task.annotations:
            way.client.delete_task(ls_task.id)


def _report(project: Project, tally: _Tally, closed: int, released: int, pushed: PushReport) -> PullReport:
    with reading(project.engine) as session:
        counts = labels.count_labels(session)
        waiting = outbox.count_open(session)
    return PullReport(
        passes={m.value: tally.of(m) for m in _asked_passes(project)},
        closed=closed,
        withdrawn=tally.withdrawn,
        released=released,
        pushed=pushed.pushed,
        labels={task.id: counts.get(task.id, 0) for task in project.settings.tasks()},
        problems=[*tally.problems, *pushed.problems],
        next=(
            f"{waiting} questions are open: go on labelling in Label Studio, then `annotate pull`"
            if waiting
            else "annotate next-batch, or annotate export mmsa DEST"
        ),
    )
