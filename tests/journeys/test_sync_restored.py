"""A Label Studio that was restored from a backup gives its numbers again; no answer is lost or mixed up."""

# ruff: noqa: F811
from datetime import datetime

import pytest

from annotate.errors import UsageError
from annotate.labelling.push import push_outbox
from annotate.labelstudio.client import LabelStudioClient
from annotate.project import Project
from annotate.steps.pull import PassReport
from annotate.types import Modality
from db.engine import reading
from db.models import Annotation, LsProject, QuestionState
from tests.conftest import RunAnnotate
from tests.journeys.test_sync import Asked, asked, client, label, only, raters, rows  # noqa: F401 - fixtures
from tests.support.raters import Rater, add_samples, ask, items, ls_project, pull, whole
from tests.support.studio import LabelStudio

pytestmark = [pytest.mark.studio, pytest.mark.slow]


def counted(project: Project) -> int:
    return pull(project).labels["sentiment.T"]


def test_answers_with_reused_numbers_stay_with_their_own_samples(
    asked: Asked, each_project: Project, raters: list[Rater], label_studio: LabelStudio
) -> None:
    project, (ann, _) = asked(each_project, n=16, raters=1), raters
    early, late = list(items(project).values())[:8], list(items(project).values())[8:]
    for item in early:
        ann.answer(item, sentiment="0")
    pull(project)
    with label_studio.restoring():
        for item in late:
            ann.answer(item, sentiment="1")
        assert counted(project) == 16
    # The raters go on; the server gives the numbers of the lost answers to answers of other samples.
    for item in late[::-1][:7]:
        ann.answer(item, sentiment="-1")
    report = pull(project)
    assert report.labels["sentiment.T"] == 16, "nothing is lost"
    assert report.missing == 8 and report.missing_answers[0].sample in {item.sample_id for item in late}
    assert "--accept-deletions" in report.next and report.problems
    with reading(project.engine) as session:
        for row in session.query(Annotation).filter(Annotation.supersedes_id.is_not(None)):
            earlier = session.get_one(Annotation, row.supersedes_id)
            assert earlier.sample_id == row.sample_id
    assert pull(project, full=True).missing == 8, "reported until it is settled"
    settled = pull(project, accept_deletions=True)
    assert settled.missing == 0 and settled.labels["sentiment.T"] == 15
    assert pull(project, full=True).passes["T"] == PassReport()


def test_answers_newer_than_the_backup_are_kept_and_listed(
    asked: Asked, project: Project, raters: list[Rater], label_studio: LabelStudio
) -> None:
    project = asked(project, n=2, raters=1)
    first, second = items(project).values()
    with label_studio.restoring():
        raters[0].answer(first, sentiment="1")
        pull(project)
    for _ in range(2):
        report = pull(project, full=True)
        assert (report.missing, report.labels["sentiment.T"]) == (1, 1)
        [missing] = report.missing_answers
        assert (missing.sample, missing.rater) == (first.sample_id, raters[0].email)
        assert missing.ls_task == first.ls_task_id
    raters[0].answer(second, sentiment="0")
    report = pull(project)
    assert (report.missing, report.labels["sentiment.T"]) == (1, 2), "what is new is stored all the same"


def test_answers_that_the_server_lost_can_be_kept_for_good(
    asked: Asked, each_project: Project, client: LabelStudioClient, raters: list[Rater],
    label_studio: LabelStudio,
) -> None:  # fmt: skip
    project, (ann, bob) = asked(each_project, n=1, raters=2), raters
    [early] = [sample for sample, _ in items(project)]
    with label_studio.restoring():
        done, half, untouched = add_samples(project, 3, name="late")
        ask(project, [done, half, untouched])
        push_outbox(project, client)
        for sample in (early, done, half):
            ann.answer(items(project)[sample, "T"], sentiment="1")
        bob.answer(items(project)[done, "T"], sentiment="0")
        pull(project)
    assert pull(project).missing == 4
    report = pull(project, keep_missing=True)
    assert (report.kept, report.missing, report.withdrawn) == (4, 0, 2)
    assert report.labels["sentiment.T"] == 3
    states = {sample: item.state for (sample, _), item in items(project).items()}
    open_, closed, withdrawn = QuestionState.OPEN, QuestionState.CLOSED, QuestionState.WITHDRAWN
    assert states == {early: open_, done: closed, half: withdrawn, untouched: withdrawn}
    for full in (False, True):
        again = pull(project, full=full)
        assert (again.missing, again.problems, again.labels["sentiment.T"]) == (0, [], 3)
    bob.answer(items(project)[early, "T"], sentiment="0")
    assert pull(project).closed == 1, "what was kept counts towards the raters of a question"


def test_deleting_and_keeping_at_once_is_refused(project: Project) -> None:
    with pytest.raises(UsageError):
        pull(project, accept_deletions=True, keep_missing=True)


def test_a_pull_that_misses_answers_ends_with_exit_code_one_and_names_the_option(
    asked: Asked, project: Project, raters: list[Rater], label_studio: LabelStudio,
    annotate: RunAnnotate,
) -> None:  # fmt: skip
    project = asked(project, n=1, raters=1)
    with label_studio.restoring():
        raters[0].answer(only(project), sentiment="1")
        pull(project)
    done = annotate("pull", cwd=project.root, **label_studio.environment)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "annotate pull --accept-deletions" in done.stdout
    assert only(project).sample_id in done.stdout and raters[0].email in done.stdout
    accepted = annotate("pull", "--accept-deletions", cwd=project.root, **label_studio.environment)
    assert accepted.returncode == 0 and label(project) is None


def test_a_question_asked_after_the_backup_is_not_taken_for_the_one_that_got_its_number(
    asked: Asked, project: Project, client: LabelStudioClient, raters: list[Rater], label_studio: LabelStudio
) -> None:
    project = asked(project, n=1, raters=1)
    with label_studio.restoring():
        [lost] = add_samples(project, 1, name="lost")
        ask(project, [lost])
        push_outbox(project, client)
        raters[0].answer(items(project)[lost, "T"], sentiment="1")
        pull(project)
    [later] = add_samples(project, 1, name="later")
    ask(project, [later])
    push_outbox(project, client)
    found = items(project)
    assert found[later, "T"].ls_task_id == found[lost, "T"].ls_task_id, "the number is given again"
    raters[0].answer(found[later, "T"], sentiment="-1")
    report = pull(project)
    assert report.missing == 1 and report.missing_answers[0].sample == lost
    with reading(project.engine) as session:
        said = {row.sample_id: row.value for row in session.query(Annotation)}
    assert said == {lost: "1", later: "-1"}
    assert items(project)[lost, "T"].state == QuestionState.CLOSED
    [last] = add_samples(project, 1, name="last")
    ask(project, [last])
    assert pull(project, accept_deletions=True).withdrawn == 1
    push_outbox(project, client)
    assert {item.state for item in items(project).values()} >= {QuestionState.WITHDRAWN}
    overlaps = {task["data"]["sample"]: task["overlap"] for task in whole(client, ls_project(project))}
    assert overlaps[later] == 1, "the question that got the number is not withdrawn with the lost one"


def test_the_number_of_an_earlier_answer_to_the_same_question_is_another_answer(
    asked: Asked, each_project: Project, raters: list[Rater], label_studio: LabelStudio
) -> None:
    project, (ann, bob) = asked(each_project, raters=2), raters
    with label_studio.restoring():
        first = ann.answer(only(project), sentiment="1")
        pull(project)
    assert bob.answer(only(project), sentiment="-1") == first
    report = pull(project)
    assert report.missing == 1 and report.missing_answers[0].rater == ann.email
    assert label(project) == (0.0, {"-1": 0.5, "1": 0.5}, 2)
    pull(project, accept_deletions=True)
    assert label(project) == (-1.0, {"-1": 1.0}, 1)
    assert [(name, state) for name, state, *_ in rows(project)] == [
        (ann.email, "answered"), (bob.email, "answered"), (ann.email, "deleted"),
    ]  # fmt: skip


def test_an_answer_that_comes_and_goes_counts_as_it_was_seen_last(
    asked: Asked, each_project: Project, raters: list[Rater], label_studio: LabelStudio
) -> None:
    project = asked(each_project, raters=1)
    number = raters[0].answer(only(project), sentiment="1")
    pull(project)
    for _ in range(2):
        with label_studio.restoring():
            raters[0].delete(number)
            assert pull(project).passes["T"] == PassReport(deletions=1)
            assert label(project) is None
            assert only(project).state == QuestionState.OPEN
        assert pull(project).passes["T"] == PassReport(returns=1)
        assert label(project) == (1.0, {"1": 1.0}, 1)
        assert pull(project, full=True).passes["T"] == PassReport()
    assert [state for _, state, *_ in rows(project)] == ["answered", *["deleted", "answered"] * 2]


def test_a_rater_who_deletes_the_newest_answer_needs_no_permission(
    asked: Asked, project: Project, raters: list[Rater]
) -> None:
    project, (ann, bob) = asked(project, n=2, raters=2), raters
    first, second = items(project).values()
    ann.answer(first, sentiment="1")
    ann.answer(second, sentiment="1")
    newest = bob.answer(first, sentiment="0")
    pull(project)
    bob.delete(newest)
    report = pull(project)
    assert (report.missing, report.passes["T"]) == (0, PassReport(deletions=1))
    assert pull(project).problems == []


def test_many_deletions_at_once_need_permission_and_then_stay_quiet(
    asked: Asked, project: Project, raters: list[Rater]
) -> None:
    project = asked(project, n=7, raters=1)
    numbers = [raters[0].answer(item, sentiment="0") for item in items(project).values()]
    pull(project)
    for number in numbers[:6]:
        raters[0].delete(number)
    report = pull(project)
    assert (report.missing, report.labels["sentiment.T"]) == (6, 7)
    report = pull(project, accept_deletions=True)
    assert (report.missing, report.passes["T"].deletions, report.labels["sentiment.T"]) == (0, 6, 1)
    assert pull(project).missing == 0


def shift(label_studio: LabelStudio, task: int | None, time: str) -> None:
    """Have the server's clock say another time about the last change of a task."""
    label_studio.sql("UPDATE task SET updated_at = ? WHERE id = ?", time, task)


@pytest.mark.parametrize("full", [False, True])
def test_one_jump_of_the_servers_clock_hides_nothing(
    asked: Asked, project: Project, raters: list[Rater], label_studio: LabelStudio, full: bool
) -> None:
    project, (ann, bob) = asked(project, n=2, raters=2), raters
    first, second = items(project).values()
    number = ann.answer(first, sentiment="1")
    shift(label_studio, first.ls_task_id, "2099-01-01 00:00:00")
    pull(project, full=full)
    bob.answer(second, sentiment="0")
    report = pull(project)
    assert report.passes["T"] == PassReport(answers=1)
    # The same for an edit, which changes no count, at a time before everything that was read.
    ann.edit(number, sentiment="-1")
    shift(label_studio, first.ls_task_id, "2001-01-01 00:00:00")
    assert pull(project).passes["T"] == PassReport(edits=1)
    assert pull(project).passes["T"] == PassReport()


def test_the_cursor_is_repaired(
    asked: Asked, project: Project, raters: list[Rater], label_studio: LabelStudio
) -> None:
    project = asked(project)
    shift(label_studio, only(project).ls_task_id, "2099-01-01 00:00:00")
    pull(project)
    raters[0].answer(only(project), sentiment="1")
    pull(project)
    with reading(project.engine) as session:
        assert datetime.fromisoformat(session.query(LsProject).one().cursor).year < 2099


def test_a_number_given_again_on_one_question_is_reported_until_it_is_settled(
    asked: Asked, project: Project, raters: list[Rater], label_studio: LabelStudio
) -> None:
    project, ann = asked(project, raters=2), raters[0]
    with label_studio.restoring():
        first = ann.answer(only(project), sentiment="1")
        pull(project)
    assert ann.answer(only(project), sentiment="-1") == first
    assert [pull(project, full=full).missing for full in (False, False, True)] == [1, 1, 1]
    assert pull(project, accept_deletions=True).passes["T"].deletions == 1
    assert label(project) == (-1.0, {"-1": 1.0}, 1)


def test_a_restore_that_one_pass_shows_deletes_nothing_in_the_others_whatever_the_clock_said(
    asked: Asked, project: Project, raters: list[Rater], label_studio: LabelStudio
) -> None:
    project, ann = asked(project, n=2, passes=(Modality.TEXT, Modality.AUDIO), raters=1), raters[0]
    spoken = only(project, Modality.AUDIO)
    with label_studio.restoring():
        number = ann.answer(spoken, sentiment="0")
        ann.answer(only(project), sentiment="-1")
        # The server's clock was late by two hours.
        for table, key in (("task", spoken.ls_task_id), ("task_completion", number)):
            label_studio.sql(f"UPDATE {table} SET updated_at = '2001-01-01 00:00:00' WHERE id = ?", key)
        pull(project)
    report = pull(project)
    assert (report.missing, report.withdrawn, report.labels["sentiment.A"]) == (2, 0, 1)
