"""A project's database restored from a backup while Label Studio went on: nothing is lost or asked twice."""

# ruff: noqa: F811
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import pytest
from sqlalchemy import create_engine, text

from annotate.labelling.push import push_outbox
from annotate.labelstudio.client import LabelStudioClient
from annotate.project import Project
from annotate.types import Modality
from db.batches import candidates
from db.engine import reading, writing
from db.models import Annotation, LsProject, Question, QuestionState
from tests.conftest import RunAnnotate
from tests.journeys.test_sync import Asked, asked, client, label, only, raters, rows  # noqa: F401 - fixtures
from tests.support.raters import (
    TEXT_ONLY,
    Rater,
    add_samples,
    ask,
    items,
    ls_project,
    pull,
    whole,
    with_raters,
)
from tests.support.studio import LabelStudio

pytestmark = [pytest.mark.studio, pytest.mark.slow]
T, A, V, M = Modality
OPEN, CLOSED = QuestionState.OPEN, QuestionState.CLOSED


@contextmanager
def restoring(project: Project) -> Iterator[None]:
    """Put the project's database back to what it was before the block."""
    yield from (_restoring_sqlite if project.engine.dialect.name == "sqlite" else _restoring_postgres)(
        project
    )


def _restoring_sqlite(project: Project) -> Iterator[None]:
    path = project.root / "annotate.db"
    with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(":memory:")) as backup:
        live.backup(backup)
        yield
        project.engine.dispose()
        backup.backup(live)


def _restoring_postgres(project: Project) -> Iterator[None]:
    name = project.engine.url.database
    admin = create_engine(project.engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    project.engine.dispose()
    with admin.connect() as server:
        server.execute(text(f"CREATE DATABASE {name}_backup TEMPLATE {name}"))
        yield
        project.engine.dispose()
        server.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.execute(text(f"ALTER DATABASE {name}_backup RENAME TO {name}"))
    admin.dispose()


def values(project: Project) -> dict[str, list[str | None]]:
    with reading(project.engine) as session:
        found: dict[str, list[str | None]] = {}
        for row in session.query(Annotation).order_by(Annotation.id):
            found.setdefault(row.sample_id, []).append(row.value)
        return found


def may_be_asked(project: Project) -> set[str]:
    with reading(project.engine) as session:
        return {c.sample_id for c in candidates(session, project.settings.passes)}


def test_questions_and_answers_after_the_backup_come_back(
    asked: Asked, each_project: Project, client: LabelStudioClient, raters: list[Rater]
) -> None:
    project = asked(each_project, n=1, raters=1)
    old = only(project).sample_id
    samples = add_samples(project, 3, name="later")
    with restoring(project):
        ask(project, samples)
        push_outbox(project, client)
        raters[0].answer(items(project)[samples[0], "T"], sentiment="1")
        pull(project)
        raters[0].answer(items(project)[samples[1], "T"], sentiment="-1")
        raters[0].answer(items(project)[old, "T"], sentiment="0")
    assert may_be_asked(project) == set(samples)
    report = pull(project)
    assert report.adopted == 3 and "3 questions" in report.problems[0]
    assert values(project) == {samples[0]: ["1"], samples[1]: ["-1"], old: ["0"]}
    assert may_be_asked(project) == set()
    states = {sample: item.state for (sample, _), item in items(project).items()}
    assert states == {old: CLOSED, samples[0]: CLOSED, samples[1]: CLOSED, samples[2]: OPEN}
    again = pull(project, full=True)
    assert (again.adopted, again.problems) == (0, [])


def test_what_the_restored_outbox_still_holds_is_not_asked_twice(
    asked: Asked, project: Project, client: LabelStudioClient, raters: list[Rater]
) -> None:
    project = asked(project, n=1, raters=1)
    [sample] = add_samples(project, 1, name="later")
    with restoring(project):
        ask(project, [sample])
        push_outbox(project, client)
        raters[0].answer(items(project)[sample, "T"], sentiment="1")
    # Somebody runs a `next-batch` of an older version, which knows nothing of the lost question.
    ask(project, [sample])
    with writing(project.engine) as session:
        session.query(Question).filter_by(sample_id=sample).one().key = "another"
    assert pull(project).adopted == 1
    assert len(whole(client, ls_project(project))) == 2
    assert values(project) == {sample: ["1"]} and items(project)[sample, "T"].state == CLOSED


def test_next_batch_takes_over_what_it_does_not_know_before_it_chooses(
    asked: Asked, project: Project, client: LabelStudioClient, annotate: RunAnnotate,
    label_studio: LabelStudio,
) -> None:  # fmt: skip
    project = asked(project, n=2, raters=1)
    samples = add_samples(project, 2, name="later")
    with restoring(project):
        ask(project, samples)
        push_outbox(project, client)
    settings = {**label_studio.environment, "ANNOTATE_PROTOCOL__PASSES": '["T"]'}
    done = annotate("next-batch", "-n", "4", "--json", cwd=project.root, **settings)
    assert done.returncode == 3 and "4 questions are still open" in done.stderr
    assert len(whole(client, ls_project(project))) == 4


def test_a_database_older_than_the_first_question_finds_its_projects(
    label_studio: LabelStudio, each_project: Project, client: LabelStudioClient, raters: list[Rater]
) -> None:
    project = with_raters(label_studio.use(each_project), 1, TEXT_ONLY)
    [sample] = add_samples(project, 1)
    with restoring(project):
        ask(project, [sample])
        push_outbox(project, client)
        raters[0].answer(only(project), sentiment="1")
        pull(project)
    report = pull(project)
    assert (report.adopted, report.passes["T"].answers) == (1, 1)
    assert values(project) == {sample: ["1"]}
    ask(project, add_samples(project, 1, name="later"))
    push_outbox(project, client)
    with reading(project.engine) as session:
        assert session.query(LsProject).count() == 1, "no second Label Studio project"


def test_answers_about_unknown_samples_are_reported_with_the_way_out(
    asked: Asked, project: Project, client: LabelStudioClient, raters: list[Rater]
) -> None:
    project = asked(project, n=1, raters=1)
    with restoring(project):
        [sample] = add_samples(project, 1, name="later")
        ask(project, [sample])
        push_outbox(project, client)
        task = items(project)[sample, "T"].ls_task_id
        raters[0].answer(items(project)[sample, "T"], sentiment="1")
    for _ in range(2):
        [problem] = pull(project).problems
        assert problem.startswith("1 answer to 1 question ") and f"task {task}" in problem
        assert "annotate ingest" in problem
    assert values(project) == {}
    assert add_samples(project, 1, name="later") == [sample]
    pull(project)
    assert values(project) == {sample: ["1"]}


def edit_data(label_studio: LabelStudio, item: Question, **data: str) -> None:
    headers = {"Authorization": f"Token {label_studio.token}"}
    address = f"{label_studio.url}/api/tasks/{item.ls_task_id}/"
    old = httpx.get(address, headers=headers).json()["data"]
    httpx.patch(address, headers=headers, json={"data": old | data}).raise_for_status()


@pytest.mark.parametrize("change", ["key", "sample", "key of another"])
def test_a_question_edited_by_hand_keeps_its_answers(
    asked: Asked, project: Project, raters: list[Rater], label_studio: LabelStudio, change: str
) -> None:
    project, (ann, bob) = asked(project, n=2, raters=2), raters
    edited, other = items(project).values()
    ann.answer(edited, sentiment="1")
    pull(project)
    data = {
        "key": {"key": "typo"}, "sample": {"sample": "typo"}, "key of another": {"key": other.key},
    }  # fmt: skip
    edit_data(label_studio, edited, **data[change])
    bob.answer(edited, sentiment="-1")
    bob.answer(other, sentiment="0")
    report = pull(project)
    assert values(project) == {edited.sample_id: ["1", "-1"], other.sample_id: ["0"]}
    assert (report.missing, report.withdrawn, report.adopted, report.problems) == (0, 0, 0, [])


@pytest.mark.parametrize("key", ["typo", "of the other"])
def test_nothing_is_guessed_where_key_and_sample_are_those_of_another_question(
    asked: Asked, project: Project, raters: list[Rater], label_studio: LabelStudio, key: str
) -> None:
    project, (ann, bob) = asked(project, n=2, raters=2), raters
    edited, other = items(project).values()
    ann.answer(edited, sentiment="1")
    pull(project)
    edit_data(label_studio, edited, key=other.key if key == "of the other" else key, sample=other.sample_id)
    bob.answer(edited, sentiment="-1")
    for _ in range(2):
        report = pull(project)
        assert values(project) == {edited.sample_id: ["1"]}
        assert (report.missing, report.withdrawn) == (0, 0)
        assert f"task {edited.ls_task_id}" in report.problems[0]
    edit_data(label_studio, edited, key=edited.key, sample=edited.sample_id)
    pull(project)
    assert values(project) == {edited.sample_id: ["1", "-1"]}
