"""Pull the answers of one pass: store those that are new, then those that are gone."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from annotate.labelling.labels import rebuild_labels
from annotate.labelling.match import Matched, match_tasks
from annotate.labelling.missing import MissingAnswer, ServerAnswers, describe, doubt
from annotate.labelstudio.client import LabelStudioClient, ListedTask, StudioProject
from annotate.labelstudio.convert import Statement, Unreadable, statement
from annotate.progress import Bar
from annotate.project import Project
from annotate.types import Form, Modality, Task
from db import annotations, outbox, withdrawals
from db.annotations import INCOMPLETE, Change, History, Revision, StandingAnswer, standing_answers
from db.engine import Session, reading, writing
from db.models import BatchItem, BatchItemState


@dataclass
class Tally:
    """What the passes brought, counted only when it is committed."""

    changes: Counter[tuple[Modality, str]] = field(default_factory=Counter)
    withdrawn: int = 0
    kept: int = 0
    adopted: int = 0
    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    """Why missing answers were not marked deleted, one for each pass."""
    missing: list[MissingAnswer] = field(default_factory=list)


@dataclass(frozen=True)
class Pass:
    """One form of a pass that is pulled, with what every part of the pull needs."""

    project: Project
    client: LabelStudioClient
    form: Form
    ls_project: StudioProject
    emails: Mapping[int, str]
    tally: Tally

    @property
    def modality(self) -> Modality:
        """What its raters perceive."""
        return self.form.modality

    @property
    def server(self) -> str:
        """What the origins of its answers begin with."""
        return self.ls_project.created_at

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What its questions ask."""
        every = self.project.settings.tasks(self.modality)
        return tuple(task for task in every if self.form.asks(task.dimension.name))


@dataclass
class _Seen:
    """What reading the changed tasks showed."""

    present: set[tuple[int, str]] = field(default_factory=set)
    """(question, origin) of the answers that are on the server."""
    numbers: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    """Tasks with an answer that is new or changed."""
    changed_at: dict[int, str] = field(default_factory=dict)
    unusable: set[int] = field(default_factory=set)
    """Questions of which an answer cannot be used."""
    earlier: dict[int, list[str]] = field(default_factory=dict)
    """By task: when it was made, and when each of its answers was last changed."""


class Missing(StrEnum):
    """What to do with answers that are gone from the server, when there is doubt that people deleted them."""

    REPORT = "report"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True)
class ReadPass:
    """A pass whose new answers are stored, and whose missing ones are not looked at yet."""

    way: Pass
    matched: Matched
    read: frozenset[int]
    """Numbers of the tasks that were read whole."""
    seen: _Seen


def read_pass(way: Pass, *, full: bool, bar: Bar) -> ReadPass:
    """Store every answer of a pass that is new or changed.

    Which tasks to read is decided by their time of last change and by the numbers of their answers, compared
    with what was stored; no clock is trusted to go forward.
    """
    matched = match_tasks(way.project, way.client, way.form, way.ls_project)
    way.tally.problems += matched.problems
    way.tally.adopted += matched.adopted
    with reading(way.project.engine) as session:
        ours = _numbers_of_tasks(standing_answers(session, way.server))
    to_read = [
        task for task in matched.listed
        if task.id in matched.questions and (full or _is_changed(task, matched, ours))
    ]  # fmt: skip
    seen = _Seen()
    for page in way.client.whole_tasks(way.ls_project.id, [task.id for task in to_read]):
        _store_page(way, matched, page, seen)
        bar.advance(len(page), note=way.modality.word)
    return ReadPass(way, matched, frozenset(task.id for task in to_read), seen)


def settle_missing(passes: Sequence[ReadPass], when_missing: Missing) -> None:
    """Mark the answers that are gone as deleted, and withdraw questions without a task.

    Where there is doubt in one pass that anybody deleted them, nothing is marked or withdrawn in any: a
    backup restores all passes.
    """
    all_numbers = frozenset(number for one in passes for number in _numbers(one))
    standing = [_standing(one.way) for one in passes]
    missing = [_missing(one, answers) for one, answers in zip(passes, standing, strict=True)]
    doubts = [
        _doubt(one, gone, len(answers), all_numbers)
        for one, gone, answers in zip(passes, missing, standing, strict=True)
    ]
    doubtful = any(doubts)
    for one, gone, why in zip(passes, missing, doubts, strict=True):
        way = one.way
        if doubtful and when_missing is Missing.KEEP:
            _keep(way, one.matched, gone)
        elif doubtful and when_missing is Missing.REPORT:
            way.tally.doubts += [f"{way.form.words}: {why}"] if why else []
            way.tally.missing += describe(way.modality, gone)
        else:
            _mark_deleted(way, gone)
            _withdraw_lost(way, one.matched)
        latest = max((task.updated_at for task in one.matched.listed), key=datetime.fromisoformat, default="")
        with writing(way.project.engine) as session:
            outbox.move_cursor(session, way.modality, way.server, latest)
        _remove_doubles(way, one.matched)


def _numbers_of_tasks(standing: Iterable[StandingAnswer]) -> dict[tuple[int, int], list[int]]:
    """Numbers of the answers that count, by question and task; twice where the server gave one again."""
    numbers: dict[tuple[int, int], list[int]] = {}
    for answer in standing:
        numbers.setdefault((answer.question_id, answer.ls_task_id), []).append(answer.number)
    return numbers


def _is_changed(task: ListedTask, matched: Matched, ours: Mapping[tuple[int, int], list[int]]) -> bool:
    """Whether the task changed since it was read, or holds other answers than were stored."""
    stored = ours.get((matched.questions[task.id], task.id), [])
    return (
        matched.read_at.get(task.id) != task.updated_at
        or task.annotations != len(stored)
        or (task.answer_numbers is not None and sorted(task.answer_numbers) != sorted(stored))
    )


def _store_page(way: Pass, matched: Matched, page: Sequence[Mapping[str, Any]], seen: _Seen) -> None:
    """Rows and labels of some tasks, in one transaction."""
    changes: Counter[tuple[Modality, str]] = Counter()
    problems: list[str] = []
    with writing(way.project.engine) as session:
        items = outbox.questions(session, [matched.questions[task["id"]] for task in page])
        history = History(session, items.values())
        for task in page:
            item = items[matched.questions[task["id"]]]
            seen.changed_at[task["id"]] = task["updated_at"]
            seen.earlier[task["id"]] = [task["created_at"]]
            _store_task(way, history, item, task, seen, changes, problems)
            if item.ls_task_id == task["id"]:
                item.ls_updated_at = task["updated_at"]
        unusable = seen.unusable & items.keys()
        outbox.reopen_unanswered(session, unusable, way.project.settings.protocol.raters)
        rebuild_labels(session, way.tasks, {item.sample_id for item in items.values()})
    way.tally.changes += changes
    way.tally.problems += problems


def _store_task(
    way: Pass, history: History, item: BatchItem, task: Mapping[str, Any], seen: _Seen,
    changes: Counter[tuple[Modality, str]], problems: list[str],
) -> None:  # fmt: skip
    for annotation in task["annotations"]:
        number = annotation.get("id") if isinstance(annotation, dict) else None
        if isinstance(number, int):
            seen.numbers.add(number)
        try:
            said = statement(annotation, [task.dimension for task in way.tasks])
        except Unreadable as error:
            problems += _unusable(way, history, item, number, "", (str(error),))
            seen.changed.add(task["id"])
            seen.present |= {(item.id, origin) for origin in history.origins_of(item, way.server, number)}
            continue
        revision = _revision(way, said, annotation)
        change = history.add(item, revision, [task.id for task in way.tasks])
        seen.present.add((item.id, history.origin_of(item, revision)))
        seen.earlier[task["id"]].append(said.revision)
        if change is not Change.NONE or not said.complete:
            problems += _unusable(
                way, history, item, number, said.revision, said.problems, complete=said.complete
            )
        if change is Change.NONE:
            continue
        seen.changed.add(task["id"])
        changes[way.modality, change] += 1
        if said.problems:
            seen.unusable.add(item.id)
        problems += _others_edit(way, item, change, revision)


def _revision(way: Pass, said: Statement, raw: dict[str, Any]) -> Revision:
    return Revision(
        server=way.server,
        number=said.annotation_id,
        ls_task_id=said.ls_task_id,
        revision=said.revision,
        rater=_name(way, said.rater),
        named=said.rater in way.emails,
        editor=_name(way, said.editor),
        created_at=said.created_at,
        changed_at=said.changed_at,
        seconds=said.seconds,
        skipped=said.skipped,
        values={f"{name}.{way.modality.value}": alias for name, alias in said.answers.items()},
        raw=raw,
    )


def _name(way: Pass, user: int | None) -> str:
    return "" if user is None else way.emails.get(user, f"user:{user}")


def _unusable(
    way: Pass, history: History, item: BatchItem, number: object, revision: str, problems: Iterable[str],
    *, complete: bool = True,
) -> list[str]:  # fmt: skip
    """An answer that cannot be used is kept in the audit trail once, and reported whenever it is read.

    A pull may be killed between the two, and the question stays open for as long as the answer stands.
    Unless it is `complete`, its rater does not count as one who has answered the question.
    """
    messages = []
    for problem in problems:
        facts = {"origin": f"{way.server}#{number}", "revision": revision, "problem": problem}
        if not complete:
            facts[INCOMPLETE] = "yes"
        history.note_unusable({**facts, "sample": item.sample_id, "modality": item.modality})
        messages.append(
            f"annotation {number} of sample {item.sample_id} ({way.modality.word}): {problem}; it does "
            f"not count until its rater opens task {item.ls_task_id} in Label Studio and updates it"
        )
    return messages


def _others_edit(way: Pass, item: BatchItem, change: Change, revision: Revision) -> list[str]:
    about = (
        f"annotation {revision.number} of sample {item.sample_id} ({way.modality.word}): {revision.editor} "
        f"changed the answer of {revision.rater or 'a deleted account'}"
    )
    if change is Change.OTHERS_EDIT:
        return [f"{about}; the rater's own last version still counts"]
    if change is Change.OTHERS_ANSWER:
        return [
            f"{about} before it was pulled, so nothing counts as the rater's answer; the rater can open task "
            f"{revision.ls_task_id} in Label Studio and update it"
        ]
    return []


def _missing(one: ReadPass, standing: Sequence[StandingAnswer]) -> list[StandingAnswer]:
    """Those of the `standing` answers that are gone from the server."""
    matched = one.matched
    unread = {number: question for number, question in matched.questions.items() if number not in one.read}
    return [
        answer for answer in standing
        if (answer.question_id, answer.origin) not in one.seen.present
        and unread.get(answer.ls_task_id) != answer.question_id
        and answer.ls_task_id not in matched.unclear
    ]  # fmt: skip


def _standing(way: Pass) -> list[StandingAnswer]:
    """What counts and should be on the server."""
    with reading(way.project.engine) as session:
        kept = annotations.kept_answers(session)
        return [a for a in standing_answers(session, way.server) if (a.question_id, a.origin) not in kept]


def _numbers(one: ReadPass) -> set[int]:
    """Of every answer of the pass on the server."""
    return one.seen.numbers.union(*(task.answer_numbers or () for task in one.matched.listed))


def _doubt(
    one: ReadPass, missing: Sequence[StandingAnswer], standing: int, all_numbers: frozenset[int]
) -> str:
    matched, seen = one.matched, one.seen
    server = ServerAnswers(
        numbers=frozenset(_numbers(one)),
        all_numbers=all_numbers,
        changed_at={task.id: task.updated_at for task in matched.listed} | seen.changed_at,
        changed=matched.withdrawn.union(seen.changed),
        read_at=matched.read_at,
        pushed_at=matched.pushed_at,
        earlier=seen.earlier,
    )
    return doubt(missing, standing, server)


def _mark_deleted(way: Pass, missing: Sequence[StandingAnswer]) -> None:
    if not missing:
        return
    with writing(way.project.engine) as session:
        items = outbox.questions(session, sorted({answer.question_id for answer in missing}))
        deleted = History(session, items.values()).take_back(missing)
        outbox.reopen_unanswered(session, set(items), way.project.settings.protocol.raters)
        rebuild_labels(session, way.tasks, {item.sample_id for item in items.values()})
    way.tally.changes[way.modality, annotations.DELETED] += deleted


def _keep(way: Pass, matched: Matched, missing: Sequence[StandingAnswer]) -> None:
    """Lost answers go on counting; closed questions stay closed, and open ones can be asked again."""
    with writing(way.project.engine) as session:
        if missing:
            annotations.keep(session, missing)
        outbox.close_answered(session, way.project.settings.protocol.raters)
        session.flush()
        lost = _lost(way, session, matched)
        closed = [item.id for item in lost if item.state == BatchItemState.CLOSED]
        withdrawals.forget_place(session, closed)
    way.tally.kept += len(missing)
    _withdraw_lost(way, matched)


def _withdraw_lost(way: Pass, matched: Matched) -> None:
    """Questions whose task was deleted in Label Studio can be asked again."""
    with writing(way.project.engine) as session:
        lost = [item.id for item in _lost(way, session, matched)]
        way.tally.withdrawn += outbox.withdraw(session, lost, "deleted in Label Studio")
        withdrawals.forget_place(session, lost)


def _lost(way: Pass, session: Session, matched: Matched) -> list[BatchItem]:
    """Open and closed questions that no task of the server stands for."""
    there = set(matched.questions.values())
    asked = outbox.asked_questions(session, way.ls_project.id, way.modality)
    return [item for item in asked if item.id not in there and item.ls_task_id not in matched.unclear]


def _remove_doubles(way: Pass, matched: Matched) -> None:
    """A question may stand there twice when a slow server stored an import that was given up."""
    with reading(way.project.engine) as session:
        asked = outbox.asked_questions(session, way.ls_project.id, way.modality)
        ours = {item.id: item.ls_task_id for item in asked}
    for task in matched.listed:
        question = matched.questions.get(task.id)
        doubled = question in ours and ours[question] != task.id and not task.annotations
        if doubled or task.id in matched.doubles:
            way.client.delete_task(task.id)
