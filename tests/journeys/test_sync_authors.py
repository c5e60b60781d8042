"""Whose answer it is: edits by others, deleted accounts, and raters who answer again."""

# ruff: noqa: F811
import httpx
import pytest

from annotate.labelling.labels import rebuild_labels
from annotate.project import Project
from annotate.steps.pull import PassReport
from db.engine import reading, writing
from db.labels import read_labels
from db.models import Annotation, Annotator, QuestionState
from tests.journeys.test_sync import Asked, asked, client, label, only, raters, rows  # noqa: F401 - fixtures
from tests.support.raters import Rater, form, items, pull
from tests.support.studio import LabelStudio

pytestmark = [pytest.mark.studio, pytest.mark.slow]


@pytest.fixture
def owner(label_studio: LabelStudio) -> Rater:
    """Who made the projects."""
    return Rater(label_studio.url, label_studio.credentials.login, label_studio.token)


def from_scratch(project: Project) -> list[object]:
    with writing(project.engine) as session:
        rebuild_labels(session, project.settings.tasks())
    with reading(project.engine) as session:
        return [*read_labels(session)]


def test_the_raters_own_last_version_counts_after_the_owner_edited_it(
    asked: Asked, each_project: Project, raters: list[Rater], owner: Rater
) -> None:
    project, ann = asked(each_project, raters=1), raters[0]
    number = ann.answer(only(project), sentiment="1")
    pull(project)
    owner.edit(number, sentiment="-1")
    report = pull(project)
    assert report.passes["T"] == PassReport(others_edits=1)
    [problem] = report.problems
    assert owner.email in problem and ann.email in problem and str(number) in problem
    assert label(project) == (1.0, {"1": 1.0}, 1)
    assert rows(project)[-1][:3] == (owner.email, "edited", "-1")
    for full in (False, True):
        again = pull(project, full=full)
        assert (again.passes["T"], again.problems) == (PassReport(), [])
    assert len(from_scratch(project)) == 1 and label(project) == (1.0, {"1": 1.0}, 1)
    assert only(project).state == QuestionState.CLOSED
    # A skip by the owner is no skip of the rater's, and what the rater says later is the rater's own again.
    owner._call("PATCH", f"/api/annotations/{number}/", was_cancelled=True, result=[])
    assert pull(project).passes["T"] == PassReport(others_edits=1)
    assert label(project) == (1.0, {"1": 1.0}, 1)
    ann._call("PATCH", f"/api/annotations/{number}/", was_cancelled=False, result=form(sentiment="0"))
    assert pull(project).passes["T"] == PassReport(edits=1)
    assert label(project) == (0.0, {"0": 1.0}, 1)
    ann.delete(number)
    assert pull(project).passes["T"] == PassReport(deletions=1)
    assert label(project) is None


def test_what_the_owner_wrote_before_any_pull_is_nobodys_answer(
    asked: Asked, project: Project, raters: list[Rater], owner: Rater
) -> None:
    project, ann = asked(project, raters=1), raters[0]
    number = ann.answer(only(project), sentiment="1")
    owner.edit(number, sentiment="-1")
    report = pull(project)
    assert report.passes["T"] == PassReport(others_edits=1) and report.closed == 0
    assert only(project).sample_id in report.problems[0] and owner.email in report.problems[0]
    assert rows(project) == [(owner.email, "edited", "-1", False)]
    assert label(project) is None and only(project).state == QuestionState.OPEN
    assert pull(project, full=True).problems == []
    ann.edit(number, sentiment="0")
    report = pull(project)
    assert (report.passes["T"], report.closed) == (PassReport(answers=1), 1)
    assert label(project) == (0.0, {"0": 1.0}, 1)


def test_an_edit_that_an_older_version_took_for_the_raters_is_put_right(
    asked: Asked, project: Project, raters: list[Rater], owner: Rater
) -> None:
    project, ann = asked(project, raters=1), raters[0]
    number = ann.answer(only(project), sentiment="1")
    pull(project)
    owner.edit(number, sentiment="-1")
    sent = owner._call("GET", f"/api/annotations/{number}/")
    with writing(project.engine) as session:
        first = session.query(Annotation).one()
        session.add(Annotation(
            sample_id=first.sample_id, task_id=first.task_id, annotator_id=first.annotator_id,
            state="answered", value="-1", batch_item_id=first.batch_item_id, origin=first.origin,
            revision=sent["updated_at"], supersedes_id=first.id, created_at=first.created_at, raw=sent,
        ))  # fmt: skip
        session.flush()
        rebuild_labels(session, project.settings.tasks())
    assert label(project) == (-1.0, {"-1": 1.0}, 1)
    pull(project)
    assert label(project) == (1.0, {"1": 1.0}, 1)
    assert pull(project, full=True).passes["T"] == PassReport()


def delete_account(label_studio: LabelStudio, rater: Rater) -> None:
    headers = {"Authorization": f"Token {label_studio.token}"}
    found = httpx.get(f"{label_studio.url}/api/users/", headers=headers).json()
    [user] = [user["id"] for user in found if user["email"] == rater.email]
    httpx.delete(f"{label_studio.url}/api/users/{user}/", headers=headers).raise_for_status()


def test_answers_of_deleted_accounts_are_kept_each_under_its_own_rater(
    asked: Asked, each_project: Project, label_studio: LabelStudio
) -> None:
    project = asked(each_project, raters=3, n=2)
    first, second = items(project).values()
    gone, other = (Rater(label_studio.url, *label_studio.add_rater()) for _ in range(2))
    known = gone.answer(first, sentiment="1")
    pull(project)
    unknown = gone.answer(second, sentiment="-1")
    another = other.answer(second, sentiment="1")
    for rater in (gone, other):
        delete_account(label_studio, rater)
    report = pull(project)
    assert (report.passes["T"], report.problems) == (PassReport(answers=2), [])
    assert [(name, value) for name, _, value, _ in rows(project)] == [
        (gone.email, "1"), (f"deleted:{unknown}", "-1"), (f"deleted:{another}", "1"),
    ]  # fmt: skip
    with reading(project.engine) as session:
        judged = {found.sample_id: (found.value, found.raters) for found in read_labels(session)}
    assert judged == {first.sample_id: (1.0, 1), second.sample_id: (0.0, 2)}
    assert pull(project, full=True).passes["T"] == PassReport()
    # Somebody changes the answer of a deleted account: the stored version stays.
    owner = Rater(label_studio.url, label_studio.credentials.login, label_studio.token)
    owner.edit(known, sentiment="0")
    assert pull(project).passes["T"] == PassReport(others_edits=1)
    assert rows(project)[-1][:3] == (owner.email, "edited", "0")


def test_two_deleted_people_whose_answers_had_one_number_are_two_raters(
    asked: Asked, project: Project, label_studio: LabelStudio
) -> None:
    project = asked(project, raters=3, n=2)
    first, second = items(project).values()
    numbers = []
    with label_studio.restoring():
        one = Rater(label_studio.url, *label_studio.add_rater())
        numbers.append(one.answer(first, sentiment="1"))
        delete_account(label_studio, one)
        pull(project)
    two = Rater(label_studio.url, *label_studio.add_rater())
    numbers.append(two.answer(second, sentiment="-1"))
    delete_account(label_studio, two)
    pull(project)
    assert numbers[0] == numbers[1]
    with reading(project.engine) as session:
        names = [name for (name,) in session.query(Annotator.name)]
    assert len(names) == len(set(names)) == 2 and all(name.startswith("deleted:") for name in names)
