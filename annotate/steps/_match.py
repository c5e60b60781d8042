"""Find the question behind each task of Label Studio, and take over those that the database does not know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from annotate.labelstudio.client import LabelStudioClient, ListedTask, StudioProject
from annotate.project import Project
from annotate.steps._push import find_ls_project
from annotate.types import Modality
from db import adoption
from db.adoption import UnknownTask
from db.engine import writing
from db.models import BatchItem, BatchItemState

NAMED = 5
"""How many tasks a message names."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Every task of one Label Studio project, with its question."""

    listed: Sequence[ListedTask]
    questions: Mapping[int, int]
    """Id of the question by number of the task; tasks that are none of ours are left out."""
    read_at: Mapping[int, str]
    """By number of the task: time of its last change when its answers were stored; empty when never."""
    pushed_at: Mapping[int, datetime]
    """By number of a task that was known before: when it was sent."""
    doubles: Sequence[int]
    """Numbers of unanswered tasks about samples that are asked in another task."""
    withdrawn: frozenset[int]
    """Numbers of tasks of withdrawn questions, which this program changes itself."""
    adopted: int
    problems: Sequence[str]


def adopt_unknown(project: Project, client: LabelStudioClient) -> list[str]:
    """Take over questions of every pass that the database does not know, so that none is asked again.

    Returns what there is to say about them; the caller holds `project.writing()`. Raises `LabelStudioError`.
    """
    problems: list[str] = []
    for modality in Modality:
        ls_project = find_ls_project(project, client, modality)
        if ls_project is not None:
            problems += match_tasks(project, client, modality, ls_project).problems
    return problems


def match_tasks(
    project: Project, client: LabelStudioClient, modality: Modality, ls_project: StudioProject
) -> Matched:
    """List the tasks of a pass and find the question of each; the caller holds `project.writing()`.

    A question that the database does not know is made again from the sample that the task names: the database
    was restored from a backup, or the task was edited by hand. Raises `LabelStudioError`.
    """
    listed = client.tasks(ls_project.id)
    with writing(project.engine) as session:
        items = adoption.questions_of(session, modality)
        by_key = {item.key: item for item in items}
        by_number = {
            item.ls_task_id: item for item in items
            if item.ls_task_id and item.ls_project_id == ls_project.id
        }  # fmt: skip
        found = {task.id: question_of(task, by_key, by_number) for task in listed}
        known = {
            number: item for number, item in found.items()
            if item and item.ls_task_id == number and item.ls_project_id == ls_project.id
        }  # fmt: skip
        read_at = {number: item.ls_updated_at for number, item in known.items()}
        pushed_at = {number: item.pushed_at for number, item in known.items() if item.pushed_at}
        withdrawn = frozenset(n for n, item in known.items() if item.state == BatchItemState.WITHDRAWN)
        unknown = [t for t in listed if found[t.id] is None and (t.key or t.sample or t.id in by_number)]
        samples = adoption.known_samples(session, [task.sample for task in unknown])
        numbers = {task.id for task in listed}
        asked = {
            item.sample_id for item in items
            if item.state == BatchItemState.OPEN and item.ls_project_id == ls_project.id
            and item.ls_task_id in numbers
        }  # fmt: skip
        # An unanswered task about a sample that is asked in another task would only ask it twice.
        adoptable = [t for t in unknown if t.sample in samples and (t.annotations or t.sample not in asked)]
        new = adoption.adopt(
            session, ls_project.id, modality,
            [UnknownTask(task.id, task.key, task.sample) for task in adoptable], numbers,
        )  # fmt: skip
        doubles = [t.id for t in unknown if t.sample in asked and not t.annotations]
        matched = {number: item.id for number, item in {**found, **new}.items() if item is not None}
        adoption.follow_tasks(session, ls_project.id, _tasks_of_questions(listed, matched))
    lost = [task for task in unknown if task.sample not in samples]
    problems = [*_adopted_problem(modality, adoptable), *_lost_problem(modality, lost)]
    return Matched(listed, matched, read_at, pushed_at, doubles, withdrawn, len(new), problems)


def question_of(
    task: ListedTask, by_key: Mapping[str, BatchItem], by_number: Mapping[int, BatchItem]
) -> BatchItem | None:
    """The question that a task stands for, or None when that cannot be told.

    A restored server gives the number of a task to another question, and people edit keys by hand. So two of
    three have to agree: the key, the task's number, and the sample.
    """
    keyed, numbered = by_key.get(task.key), by_number.get(task.id)
    for question in (keyed, numbered):
        if question is not None and question.sample_id == task.sample:
            return question
    return keyed if keyed is numbered else None


def _tasks_of_questions(listed: Sequence[ListedTask], matched: Mapping[int, int]) -> dict[int, list[int]]:
    """Numbers of the tasks of each question: answered ones first, then the oldest."""
    tasks: dict[int, list[ListedTask]] = {}
    for task in listed:
        if task.id in matched:
            tasks.setdefault(matched[task.id], []).append(task)
    return {
        question: [task.id for task in sorted(doubled, key=lambda task: (task.annotations == 0, task.id))]
        for question, doubled in tasks.items()
    }


def _adopted_problem(modality: Modality, tasks: Sequence[ListedTask]) -> list[str]:
    if not tasks:
        return []
    answers = sum(task.annotations for task in tasks)
    return [
        f"{len(tasks)} question(s) of the {modality.word} pass with {answers} answer(s) are in Label Studio "
        f"and were not in this database ({_named(tasks)}): they are taken over"
    ]


def _lost_problem(modality: Modality, tasks: Sequence[ListedTask]) -> list[str]:
    answered = [task for task in tasks if task.annotations]
    if not answered:
        return []
    answers = sum(task.annotations for task in answered)
    return [
        f"{answers} answer(s) to {len(answered)} question(s) of the {modality.word} pass are about samples "
        f"that this project does not have ({_named(answered)}): run `annotate ingest` on their videos, or "
        "restore `key` and `sample` in the data of these tasks, then run `annotate pull` again"
    ]


def _named(tasks: Sequence[ListedTask]) -> str:
    more = ", ..." if len(tasks) > NAMED else ""
    return "task " + ", ".join(str(task.id) for task in tasks[:NAMED]) + more
