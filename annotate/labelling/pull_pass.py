"""Pulls the answers of one pass: stores new and changed answers, then settles the missing ones."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from annotate.labelling.labels import rebuild_labels
from annotate.labelling.match import Matched, match_tasks
from annotate.labelling.missing import MissingAnswer, ServerAnswers, describe, doubt
from annotate.labelstudio.client import LabelStudioClient
from annotate.labelstudio.convert import ParsedAnnotation, Unreadable, parse_annotation
from annotate.labelstudio.payloads import ListedTask, StudioProject
from annotate.progress import Bar
from annotate.project import Project
from annotate.types import Form, Modality, Task
from db import outbox, withdrawals
from db.annotations import DELETED, INCOMPLETE, AnnotationLog, Change, Revision
from db.engine import Session, reading, writing
from db.live_answers import LiveAnswer, keep_answers, kept_answers, live_answers
from db.models import Question, QuestionState


@dataclass
class Tally:
    """The results of all passes, counted when they are committed."""

    changes: Counter[tuple[Modality, str]] = field(default_factory=Counter)
    withdrawn: int = 0
    kept: int = 0
    adopted: int = 0
    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    """Why missing answers were not marked as deleted, one reason for each pass."""
    missing: list[MissingAnswer] = field(default_factory=list)


@dataclass(frozen=True)
class PullContext:
    """One form that is pulled, with the data that every part of the pull needs."""

    project: Project
    client: LabelStudioClient
    form: Form
    ls_project: StudioProject
    emails: Mapping[int, str]
    tally: Tally

    @property
    def modality(self) -> Modality:
        """The pass of the form."""
        return self.form.modality

    @property
    def server(self) -> str:
        """The prefix of the origins of its answers."""
        return self.ls_project.created_at

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that its questions ask."""
        every = self.project.settings.tasks(self.modality)
        return tuple(task for task in every if self.form.asks(task.dimension.name))


@dataclass
class _Observed:
    """What is known after reading the changed tasks."""

    present: set[tuple[int, str]] = field(default_factory=set)
    """(question, origin) of the answers that are on the server."""
    numbers: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    """Tasks with an answer that is new or changed."""
    changed_at: dict[int, str] = field(default_factory=dict)
    unusable: set[int] = field(default_factory=set)
    """Questions with an unusable answer."""
    earlier: dict[int, list[str]] = field(default_factory=dict)
    """When each task was made, and when each of its answers was last changed, by task."""


class Missing(StrEnum):
    """What to do with missing answers that may be lost instead of deleted by people."""

    REPORT = "report"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True)
class ReadPass:
    """A pass whose new answers are stored, and whose missing answers are not settled yet."""

    context: PullContext
    matched: Matched
    read: frozenset[int]
    """Numbers of the tasks that were read completely."""
    observed: _Observed


def read_pass(context: PullContext, *, full: bool, bar: Bar) -> ReadPass:
    """Store every answer of a pass that is new or changed.

    A task is read if its time of last change or the numbers of its answers differ from what is stored; clocks
    may go back.
    """
    matched = match_tasks(context.project, context.client, context.form, context.ls_project)
    context.tally.problems += matched.problems
    context.tally.adopted += matched.adopted
    with reading(context.project.engine) as session:
        numbers: dict[tuple[int, int], list[int]] = {}
        for answer in live_answers(session, context.server):
            numbers.setdefault((answer.question_id, answer.ls_task_id), []).append(answer.number)
    to_read = [
        task for task in matched.listed
        if task.id in matched.questions and (full or _is_changed(task, matched, numbers))
    ]  # fmt: skip
    observed = _Observed()
    for page in context.client.whole_tasks(context.ls_project.id, [task.id for task in to_read]):
        _store_page(context, matched, page, observed)
        bar.advance(len(page), note=context.modality.word)
    return ReadPass(context, matched, frozenset(task.id for task in to_read), observed)


def settle_missing(passes: Sequence[ReadPass], when_missing: Missing) -> None:
    """Mark missing answers as deleted, and withdraw questions without a task.

    If there is doubt in one pass that people deleted them, nothing is marked or withdrawn in any pass,
    because a backup restores all passes."""
    all_numbers = frozenset(number for read_form in passes for number in _numbers(read_form))
    live = []  # of each pass, the answers that count and should be on the server
    for read_form in passes:
        with reading(read_form.context.project.engine) as session:
            kept, answers = kept_answers(session), live_answers(session, read_form.context.server)
            live.append([answer for answer in answers if (answer.question_id, answer.origin) not in kept])
    missing = [_missing(read_form, answers) for read_form, answers in zip(passes, live, strict=True)]
    doubts = [
        _doubt(read_form, missing_here, len(answers), all_numbers)
        for read_form, missing_here, answers in zip(passes, missing, live, strict=True)
    ]
    doubtful = any(doubts)
    for read_form, missing_here, doubt_here in zip(passes, missing, doubts, strict=True):
        context = read_form.context
        if doubtful and when_missing is Missing.KEEP:
            _keep(context, read_form.matched, missing_here)
        elif doubtful and when_missing is Missing.REPORT:
            context.tally.doubts += [f"{context.form.words}: {doubt_here}"] if doubt_here else []
            context.tally.missing += describe(context.modality, missing_here)
        else:
            _mark_deleted(context, missing_here)
            _withdraw_lost(context, read_form.matched)
        latest = max(
            (task.updated_at for task in read_form.matched.listed), key=datetime.fromisoformat, default=""
        )
        with writing(context.project.engine) as session:
            outbox.move_cursor(session, context.modality, context.server, latest)
        _remove_doubles(context, read_form.matched)


def _is_changed(task: ListedTask, matched: Matched, numbers: Mapping[tuple[int, int], list[int]]) -> bool:
    """Whether the task changed since it was read, or has other answers than those stored."""
    stored = numbers.get((matched.questions[task.id], task.id), [])
    return (
        matched.read_at.get(task.id) != task.updated_at
        or task.annotations != len(stored)
        or (task.answer_numbers is not None and sorted(task.answer_numbers) != sorted(stored))
    )


def _store_page(
    context: PullContext, matched: Matched, page: Sequence[Mapping[str, Any]], observed: _Observed
) -> None:
    """Store the annotations and labels of some tasks in one transaction."""
    changes: Counter[tuple[Modality, str]] = Counter()
    problems: list[str] = []
    with writing(context.project.engine) as session:
        items = outbox.questions(session, [matched.questions[task["id"]] for task in page])
        log = AnnotationLog(session, items.values())
        for task in page:
            item = items[matched.questions[task["id"]]]
            observed.changed_at[task["id"]] = task["updated_at"]
            observed.earlier[task["id"]] = [task["created_at"]]
            _store_task(context, log, item, task, observed, changes, problems)
            if item.ls_task_id == task["id"]:
                item.ls_updated_at = task["updated_at"]
        unusable = observed.unusable & items.keys()
        outbox.reopen_unanswered(session, unusable, context.project.settings.protocol.raters)
        rebuild_labels(session, context.tasks, {item.sample_id for item in items.values()})
    context.tally.changes += changes
    context.tally.problems += problems


def _store_task(
    context: PullContext, log: AnnotationLog, item: Question, task: Mapping[str, Any], observed: _Observed,
    changes: Counter[tuple[Modality, str]], problems: list[str],
) -> None:  # fmt: skip
    for annotation in task["annotations"]:
        number = annotation.get("id") if isinstance(annotation, dict) else None
        if isinstance(number, int):
            observed.numbers.add(number)
        try:
            parsed = parse_annotation(annotation, [task.dimension for task in context.tasks])
        except Unreadable as error:
            problems += _unusable(context, log, item, number, "", (str(error),))
            observed.changed.add(task["id"])
            observed.present |= {(item.id, origin) for origin in log.origins_of(item, context.server, number)}
            continue
        revision = _revision(context, parsed, annotation)
        change = log.add(item, revision, [task.id for task in context.tasks])
        observed.present.add((item.id, log.origin_of(item, revision)))
        observed.earlier[task["id"]].append(parsed.revision)
        if change is not Change.NONE or not parsed.complete:
            problems += _unusable(
                context, log, item, number, parsed.revision, parsed.problems, complete=parsed.complete
            )
        if change is Change.NONE:
            continue
        observed.changed.add(task["id"])
        changes[context.modality, change] += 1
        if parsed.problems:
            observed.unusable.add(item.id)
        problems += _others_edit(context, item, change, revision)


def _revision(context: PullContext, parsed: ParsedAnnotation, raw: dict[str, Any]) -> Revision:
    return Revision(
        server=context.server,
        number=parsed.annotation_id,
        ls_task_id=parsed.ls_task_id,
        revision=parsed.revision,
        rater=_name(context, parsed.rater),
        named=parsed.rater in context.emails,
        editor=_name(context, parsed.editor),
        created_at=parsed.created_at,
        changed_at=parsed.changed_at,
        seconds=parsed.seconds,
        skipped=parsed.skipped,
        values={f"{name}.{context.modality.value}": alias for name, alias in parsed.answers.items()},
        raw=raw,
    )


def _name(context: PullContext, user: int | None) -> str:
    return "" if user is None else context.emails.get(user, f"user:{user}")


def _unusable(
    context: PullContext, log: AnnotationLog, item: Question, number: object, revision: str,
    problems: Iterable[str], *, complete: bool = True,
) -> list[str]:  # fmt: skip
    """Record an unusable answer once in the audit trail, and return messages whenever it is read.

    A pull may be killed between the two, and the question stays open until the answer is updated. Unless the
    annotation is `complete`, its rater does not count as having answered the question.
    """
    messages = []
    for problem in problems:
        facts = {"origin": f"{context.server}#{number}", "revision": revision, "problem": problem}
        if not complete:
            facts[INCOMPLETE] = "yes"
        log.note_unusable({**facts, "sample": item.sample_id, "modality": item.modality})
        messages.append(
            f"annotation {number} of sample {item.sample_id} ({context.modality.word}): {problem}; it does "
            f"not count until its rater opens task {item.ls_task_id} in Label Studio and updates it"
        )
    return messages


def _others_edit(context: PullContext, item: Question, change: Change, revision: Revision) -> list[str]:
    about = (
        f"annotation {revision.number} of sample {item.sample_id} ({context.modality.word}): "
        f"{revision.editor} changed the answer of {revision.rater or 'a deleted account'}"
    )
    if change is Change.OTHERS_EDIT:
        return [f"{about}; the rater's own last version still counts"]
    if change is Change.OTHERS_ANSWER:
        return [
            f"{about} before it was pulled, so nothing counts as the rater's answer; the rater can open task "
            f"{revision.ls_task_id} in Label Studio and update it"
        ]
    return []


def _missing(read_form: ReadPass, live: Sequence[LiveAnswer]) -> list[LiveAnswer]:
    """The `live` answers that are no longer on the server."""
    matched = read_form.matched
    unread = {
        number: question for number, question in matched.questions.items() if number not in read_form.read
    }
    return [
        answer for answer in live
        if (answer.question_id, answer.origin) not in read_form.observed.present
        and unread.get(answer.ls_task_id) != answer.question_id
        and answer.ls_task_id not in matched.unclear
    ]  # fmt: skip


def _numbers(read_form: ReadPass) -> set[int]:
    """Numbers of all answers of the pass on the server."""
    return read_form.observed.numbers.union(*(task.answer_numbers or () for task in read_form.matched.listed))


def _doubt(read_form: ReadPass, missing: Sequence[LiveAnswer], live: int, all_numbers: frozenset[int]) -> str:
    matched, observed = read_form.matched, read_form.observed
    server = ServerAnswers(
        numbers=frozenset(_numbers(read_form)),
        all_numbers=all_numbers,
        changed_at={task.id: task.updated_at for task in matched.listed} | observed.changed_at,
        changed=matched.withdrawn.union(observed.changed),
        read_at=matched.read_at,
        pushed_at=matched.pushed_at,
        earlier=observed.earlier,
    )
    return doubt(missing, live, server)


def _mark_deleted(context: PullContext, missing: Sequence[LiveAnswer]) -> None:
    if not missing:
        return
    with writing(context.project.engine) as session:
        items = outbox.questions(session, sorted({answer.question_id for answer in missing}))
        deleted = AnnotationLog(session, items.values()).mark_deleted(missing)
        outbox.reopen_unanswered(session, set(items), context.project.settings.protocol.raters)
        rebuild_labels(session, context.tasks, {item.sample_id for item in items.values()})
    context.tally.changes[context.modality, DELETED] += deleted


def _keep(context: PullContext, matched: Matched, missing: Sequence[LiveAnswer]) -> None:
    """Keep lost answers; closed questions stay closed, and open ones can be asked again."""
    with writing(context.project.engine) as session:
        if missing:
            keep_answers(session, missing)
        outbox.close_answered(session, context.project.settings.protocol.raters)
        session.flush()
        lost = _lost(context, session, matched)
        closed = [item.id for item in lost if item.state == QuestionState.CLOSED]
        withdrawals.forget_place(session, closed)
    context.tally.kept += len(missing)
    _withdraw_lost(context, matched)


def _withdraw_lost(context: PullContext, matched: Matched) -> None:
    """Withdraw questions whose task was deleted in Label Studio, so that they can be asked again."""
    with writing(context.project.engine) as session:
        lost = [item.id for item in _lost(context, session, matched)]
        context.tally.withdrawn += outbox.withdraw(session, lost, "deleted in Label Studio")
        withdrawals.forget_place(session, lost)


def _lost(context: PullContext, session: Session, matched: Matched) -> list[Question]:
    """Open and closed questions without a task on the server."""
    matched_ids = set(matched.questions.values())
    asked = outbox.asked_questions(session, context.ls_project.id, context.modality)
    return [item for item in asked if item.id not in matched_ids and item.ls_task_id not in matched.unclear]


def _remove_doubles(context: PullContext, matched: Matched) -> None:
    """Delete second tasks of a question, which a slow server may store after a push gave up."""
    with reading(context.project.engine) as session:
        asked = outbox.asked_questions(session, context.ls_project.id, context.modality)
        task_of_question = {item.id: item.ls_task_id for item in asked}
    for task in matched.listed:
        question = matched.questions.get(task.id)
        doubled = (
            question in task_of_question and task_of_question[question] != task.id and not task.annotations
        )
        if doubled or task.id in matched.doubles:
            context.client.delete_task(task.id)
