"""Matches tasks of Label Studio with questions, and adopts those that the database does not know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from annotate.labelling.push import asked_forms, find_ls_project
from annotate.labelstudio.client import LabelStudioClient
from annotate.labelstudio.payloads import ListedTask, StudioProject
from annotate.project import Project
from annotate.types import Form, Modality
from annotate.wording import counted, either
from db import adoption, withdrawals
from db.adoption import UnknownTask
from db.engine import writing
from db.models import Question, QuestionState

NAMED = 5
"""How many tasks a message names."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Every task of one Label Studio project, with its question."""

    listed: Sequence[ListedTask]
    questions: Mapping[int, int]
    """Id of the question by task number; tasks of other programs are left out."""
    read_at: Mapping[int, str]
    """Time of the last change of each task when its answers were stored, by task number; empty if never."""
    pushed_at: Mapping[int, datetime]
    """When each task that was known before was sent, by task number."""
    doubles: Sequence[int]
    """Numbers of unanswered tasks about samples that are asked in another task."""
    withdrawn: frozenset[int]
    """Numbers of the tasks of withdrawn questions, which this program changes itself."""
    unclear: frozenset[int]
    """Numbers of tasks that were edited by hand so that their question is unknown."""
    adopted: int
    problems: Sequence[str]


def adopt_unknown(project: Project, client: LabelStudioClient) -> list[str]:
    """Adopt the questions of every pass that the database does not know, so that none is asked again.

    Returns messages about them; the caller holds `project.writing()`. Raises `LabelStudioError`.
    """
    problems: list[str] = []
    for form in asked_forms(project, client, tuple(Modality)):
        ls_project = find_ls_project(project, client, form)
        if ls_project is not None:
            problems += match_tasks(project, client, form, ls_project).problems
    return problems


def match_tasks(
    project: Project, client: LabelStudioClient, form: Form, ls_project: StudioProject
) -> Matched:
    """List the tasks of a form and find the question of each; the caller holds `project.writing()`.

    A question that the database does not know, because it was restored from a backup or the task was edited
    by hand, is created again from the sample that the task names. Raises `LabelStudioError`."""
    listed = client.tasks(ls_project.id)
    with writing(project.engine) as session:
        questions = adoption.questions_of(session, form)
        transcripts = adoption.transcripts(session, [task.sample for task in listed])
        matcher = _Matcher(questions, ls_project.id, frozenset(task.id for task in listed), transcripts)
        question_of_task = {task.id: matcher.question_of(task) for task in listed}
        known = {
            n: q for n, q in question_of_task.items() if q and q.ls_task_id == n and matcher.is_placed(q)
        }
        read_at = {number: question.ls_updated_at for number, question in known.items()}
        pushed_at = {number: q.pushed_at for number, q in known.items() if q.pushed_at}
        withdrawn = frozenset(n for n, q in known.items() if q.state == QuestionState.WITHDRAWN)
        unknown = [task for task in listed if question_of_task[task.id] is None and matcher.is_ours(task)]
        asked = {q.sample_id for q in questions if q.state == QuestionState.OPEN and matcher.is_placed(q)}
        # An unanswered task about a sample that another task asks would only ask it twice.
        doubles = [t.id for t in unknown if matcher.can_adopt(t) and t.sample in asked and not t.annotations]
        adoptable = [task for task in unknown if matcher.can_adopt(task) and task.id not in doubles]
        new = adoption.adopt(
            session, ls_project.id, form,
            [UnknownTask(task.id, task.key, task.sample) for task in adoptable], matcher.numbers,
        )  # fmt: skip
        matched = {number: q.id for number, q in {**question_of_task, **new}.items() if q is not None}
        adoption.follow_tasks(session, ls_project.id, _tasks_of_questions(listed, matched))
        # A restored server may give the number of a task to another question, which must stay in the queue.
        placed = withdrawals.placed(session, ls_project.id, form.modality)
        withdrawals.forget_place(session, placed - set(matched.values()))
    lost = [task for task in unknown if task.id not in new and task.id not in doubles]
    return Matched(
        listed, matched, read_at, pushed_at, doubles, withdrawn,
        unclear=frozenset(task.id for task in lost if task.id in matcher.by_number),
        adopted=len(new),
        problems=_problems(form, adoptable, lost),
    )  # fmt: skip


class _Matcher:
    """Finds the question of a task.

    A restored server gives the number of a task to another question, and people edit tasks by hand. So two of
    three must agree: key, sample, and number. If the number contradicts the other two, the content of the
    task decides."""

    def __init__(
        self, questions: Sequence[Question], ls_project_id: int, numbers: frozenset[int],
        transcripts: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.numbers = numbers
        self.by_key = {question.key: question for question in questions}
        self.by_number = {
            question.ls_task_id: question for question in questions
            if question.ls_task_id and question.ls_project_id == ls_project_id
        }  # fmt: skip
        self._ls_project_id = ls_project_id
        self._transcripts = transcripts

    def question_of(self, task: ListedTask) -> Question | None:
        """The question of a task, or None if it is unknown."""
        keyed, numbered = self.by_key.get(task.key), self.by_number.get(task.id)
        if keyed is not None and keyed.sample_id == task.sample:
            contradicted = numbered not in (None, keyed) and self.is_placed(keyed)
            if not contradicted or keyed.ls_task_id == task.id or self._shows_sample(task):
                return keyed
        if numbered is not None and numbered.sample_id == task.sample:
            return numbered
        return keyed if keyed is numbered else None

    def is_placed(self, question: Question) -> bool:
        """Whether the task number of a question belongs to an existing task."""
        return question.ls_project_id == self._ls_project_id and question.ls_task_id in self.numbers

    def is_ours(self, task: ListedTask) -> bool:
        """Whether this program probably made the task."""
        return bool(task.key or task.sample) or task.id in self.by_number

    def can_adopt(self, task: ListedTask) -> bool:
        """Whether the task is certainly about the sample that it names."""
        if task.sample not in self._transcripts:
            return False
        return task.id not in self.by_number or self._shows_sample(task)

    def _shows_sample(self, task: ListedTask) -> bool:
        """Whether raters see the sample that the task names: its media, or else its text."""
        media = [address for name, address in task.shown.items() if name != "text"]
        if media:
            return all(task.sample in address for address in media)
        return task.shown.get("text") == self._transcripts.get(task.sample)


def _tasks_of_questions(listed: Sequence[ListedTask], matched: Mapping[int, int]) -> dict[int, list[int]]:
    """Numbers of the tasks of each question, answered ones first, then the oldest."""
    tasks: dict[int, list[ListedTask]] = {}
    for task in listed:
        if task.id in matched:
            tasks.setdefault(matched[task.id], []).append(task)
    return {
        question: [task.id for task in sorted(doubled, key=lambda task: (task.annotations == 0, task.id))]
        for question, doubled in tasks.items()
    }


def _problems(form: Form, adopted: Sequence[ListedTask], lost: Sequence[ListedTask]) -> list[str]:
    """Messages about tasks whose questions were created again, and about answers that cannot be stored."""
    problems = []
    if number := len(adopted):
        answers = counted(sum(task.annotations for task in adopted), "answer")
        problems.append(
            f"{counted(number, 'question')} of the {form.words} with {answers} "
            f"{either(number, 'is', 'are')} in Label Studio and {either(number, 'was', 'were')} not in this "
            f"database ({_named(adopted)}): {either(number, 'it is', 'they are')} taken over"
        )
    if answered := [task for task in lost if task.annotations]:
        answers = counted(sum(task.annotations for task in answered), "answer")
        problems.append(
            f"{answers} to {counted(len(answered), 'question')} of the {form.words} cannot be stored, "
            f"because this project does not have the samples ({_named(answered)}): run `annotate ingest` on "
            "the videos, or restore `key` and `sample` in the data of tasks that were edited by hand, then "
            "run `annotate pull` again"
        )
    return problems


def _named(tasks: Sequence[ListedTask]) -> str:
    more = ", ..." if len(tasks) > NAMED else ""
    return f"{either(len(tasks), 'task', 'tasks')} {', '.join(str(task.id) for task in tasks[:NAMED])}{more}"
