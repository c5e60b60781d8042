"""Questions go to a real Label Studio once, and everything raters do there comes home."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from annotate.doctor.deep import Deep
from annotate.doctor.findings import State
from annotate.errors import LabelStudioError, NothingToDo
from annotate.labelling.push import push_outbox
from annotate.labelstudio.client import LabelStudioClient
from annotate.progress import Silent
from annotate.project import Project
from annotate.steps.init import init
from annotate.steps.pull import PassReport
from annotate.types import Modality
from db.engine import reading, writing
from db.labels import read_labels
from db.models import Annotation, Annotator, Event, LsProject, Question, QuestionState
from tests.support.raters import (
    TEXT_ONLY,
    Rater,
    add_samples,
    ask,
    form,
    items,
    ls_project,
    pull,
    whole,
    with_raters,
)
from tests.support.studio import LabelStudio

pytestmark = [pytest.mark.studio, pytest.mark.slow]
T, M = Modality.TEXT, Modality.MULTIMODAL
Asked = Callable[..., Project]


@pytest.fixture(scope="session")
def raters(label_studio: LabelStudio) -> list[Rater]:
    return [Rater(label_studio.url, *label_studio.add_rater()) for _ in range(2)]


@pytest.fixture
def client(label_studio: LabelStudio) -> LabelStudioClient:
    client = LabelStudioClient(label_studio.url, label_studio.token, 60)
    yield client
    client.close()


@pytest.fixture
def asked(label_studio: LabelStudio, client: LabelStudioClient) -> Asked:
    """Put a batch of new samples into Label Studio."""

    def make(
        project: Project, n: int = 1, passes: tuple[Modality, ...] = TEXT_ONLY, raters: int = 2
    ) -> Project:
        project = with_raters(label_studio.use(project), raters, passes)
        ask(project, add_samples(project, n))
        push_outbox(project, client)
        return project

    return make


def rows(project: Project) -> list[tuple[str, str, str | None, bool]]:
    """(rater, state, value, whether it corrects another), in the order they were stored."""
    with reading(project.engine) as session:
        rows = session.query(Annotation, Annotator).join(Annotator).order_by(Annotation.id)
        return [(who.name, a.state, a.value, a.supersedes_id is not None) for a, who in rows]


def label(project: Project) -> tuple[float | str, dict[str, float], int] | None:
    with reading(project.engine) as session:
        found = read_labels(session)
    return (found[0].value, dict(found[0].distribution), found[0].raters) if found else None


def only(project: Project, modality: Modality = T) -> Question:
    return next(item for (_, m), item in items(project).items() if m == modality)


def test_nothing_asked_is_nothing_to_pull(project: Project) -> None:
    with pytest.raises(NothingToDo):
        pull(project)


def test_a_wrong_token_is_told_and_changes_nothing(
    asked: Asked, project: Project, raters: list[Rater]
) -> None:
    project = asked(project)
    raters[0].answer(only(project), sentiment="1")
    wrong = project.settings.labelstudio.model_copy(update={"token": SecretStr("0" * 40)})
    other = Project(project.root, project.settings.model_copy(update={"labelstudio": wrong}))
    other.__dict__["engine"] = project.engine
    with pytest.raises(LabelStudioError, match="refuses the token") as refused:
        pull(other)
    assert refused.value.hint and "0" * 40 not in str(refused.value)
    assert rows(project) == []


def test_edits_skips_deletions_and_second_answers_of_two_raters_become_these_rows_and_labels(
    asked: Asked, each_project: Project, raters: list[Rater]
) -> None:
    project, (ann, bob) = asked(each_project, raters=3), raters
    item = only(project)
    first = ann.answer(item, sentiment="-1")
    bob.skip(item)
    pull(project)
    assert rows(project) == [(ann.email, "answered", "-1", False), (bob.email, "skipped", None, False)]
    assert label(project) == (-1.0, {"-1": 1.0}, 1)

    ann.edit(first, sentiment="0")
    second = bob.answer(item, sentiment="1")
    report = pull(project)
    assert report.passes["T"] == PassReport(answers=1, edits=1)
    assert rows(project)[2:] == [(ann.email, "answered", "0", True), (bob.email, "answered", "1", False)]
    assert label(project) == (0.5, {"0": 0.5, "1": 0.5}, 2), "zero is a value"

    bob.answer(item, sentiment="0")
    pull(project)
    assert label(project) == (0.0, {"0": 1.0}, 2), "of one rater's two answers the newer one counts"
    ann.delete(first)
    report = pull(project)
    assert report.passes["T"] == PassReport(deletions=1)
    assert rows(project)[-1] == (ann.email, "deleted", None, True)
    assert label(project) == (0.0, {"0": 1.0}, 1)
    bob.delete(second)
    pull(project)
    assert len(rows(project)) == 7
    assert label(project) == (0.0, {"0": 1.0}, 1)


def test_time_spent_and_who_and_which_question_stand_in_the_row(
    asked: Asked, project: Project, raters: list[Rater]
) -> None:
    project = asked(project)
    item = only(project)
    number = raters[0].answer(item, sentiment="1")
    pull(project)
    with reading(project.engine) as session:
        row = session.query(Annotation).one()
        assert (row.seconds, row.batch_item_id, row.sample_id) == (2.5, item.id, item.sample_id)
        assert row.origin.endswith(f"#{number}") and row.raw["id"] == number


def test_pulling_again_brings_nothing_new_not_even_in_full(
    asked: Asked, each_project: Project, raters: list[Rater]
) -> None:
    project = asked(each_project, n=2)
    for item in items(project).values():
        raters[0].answer(item, sentiment="1")
        raters[1].skip(item)
    first = pull(project)
    assert first.passes["T"] == PassReport(answers=2, skips=2) and first.closed == 2
    before = rows(project)
    for full in (False, True):
        again = pull(project, full=full)
        assert again.passes["T"] == PassReport() and again.closed == 0 and again.withdrawn == 0
    assert rows(project) == before


def test_pushing_again_doubles_nothing(
    asked: Asked, each_project: Project, client: LabelStudioClient
) -> None:
    project = asked(each_project, n=3)
    assert push_outbox(project, client).pushed == 0
    forget_push(project)
    assert push_outbox(project, client).already_there == 3
    assert counts(project, client) == {1: 3}


def forget_push(project: Project) -> None:
    """As after a crash between the server's answer and our commit."""
    with writing(project.engine) as session:
        for item in session.query(Question):
            item.state, item.ls_task_id = QuestionState.QUEUED, None


def counts(project: Project, client: LabelStudioClient) -> dict[int, int]:
    """How many keys are how often on the server."""
    return dict(Counter(Counter(task.key for task in client.tasks(ls_project(project))).values()))


def test_a_project_made_just_before_a_crash_is_adopted(
    asked: Asked, project: Project, client: LabelStudioClient
) -> None:
    project = asked(project)
    made = ls_project(project)
    with writing(project.engine) as session:
        session.query(LsProject).delete()
    forget_push(project)
    push_outbox(project, client)
    assert ls_project(project) == made


def test_two_projects_of_one_name_do_not_share_questions(
    asked: Asked, make_project: Callable[..., Project]
) -> None:
    one, two = asked(make_project()), asked(make_project(name="other"))
    assert ls_project(one) != ls_project(two)


def test_two_machines_that_push_at_once_double_nothing(
    label_studio: LabelStudio, make_project: Callable[..., Project], postgres_url: str, tmp_path: Path
) -> None:
    one = with_raters(label_studio.use(make_project(database=postgres_url)), 2, TEXT_ONLY)
    init(tmp_path / "second", preset="ch-sims", database=postgres_url)
    two = with_raters(label_studio.use(Project.open(tmp_path / "second")), 2, TEXT_ONLY)
    ask(one, add_samples(one, 20))
    pushed: list[int] = []

    def push(project: Project) -> None:
        client = LabelStudioClient(label_studio.url, label_studio.token, 60)
        with project.writing():
            pushed.append(push_outbox(project, client).pushed)
        client.close()

    threads = [threading.Thread(target=push, args=(project,)) for project in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    two.engine.dispose()
    client = LabelStudioClient(label_studio.url, label_studio.token, 60)
    assert sorted(pushed) == [0, 20]
    assert counts(one, client) == {1: 20}
    client.close()


def test_each_question_holds_what_its_pass_may_show_and_no_guess(
    asked: Asked, project: Project, client: LabelStudioClient, raters: list[Rater]
) -> None:
    project = asked(project, passes=tuple(Modality))
    shown = {Modality.TEXT: {"text"}, Modality.AUDIO: {"audio"}, Modality.VISION: {"video"}}
    for modality, names in shown.items():
        [task] = whole(client, ls_project(project, modality))
        assert set(task["data"]) == {"key", "sample"} | names
        assert all(guess["result"] == [] for guess in task["predictions"])


def test_the_most_wanted_question_is_served_first_over_batches(
    asked: Asked, project: Project, client: LabelStudioClient, raters: list[Rater]
) -> None:
    project = asked(project, n=2, raters=1)
    early = [sample for sample, _ in items(project)]
    late = add_samples(project, 4, name="later")
    ask(project, late)
    push_outbox(project, client)
    served = raters[0].queue(ls_project(project), {"sentiment": "0"})
    assert set(served[:2]) == {early[0], late[0]}
    assert [s for s in served if s in early] == early and [s for s in served if s in late] == late


def test_the_whole_is_asked_only_when_words_voice_and_face_are_closed(
    asked: Asked, each_project: Project, raters: list[Rater], client: LabelStudioClient
) -> None:
    project = asked(each_project, passes=tuple(Modality))
    sample = only(project).sample_id
    for modality in (Modality.TEXT, Modality.AUDIO):
        for rater in raters:
            rater.answer(items(project)[sample, modality], sentiment="0")
    raters[0].answer(items(project)[sample, "V"], sentiment="1")
    assert pull(project).released == 0
    raters[1].skip(items(project)[sample, "V"])
    report = pull(project)
    assert (report.closed, report.released, report.pushed) == (1, 1, 1)
    [task] = whole(client, ls_project(project, M))
    assert set(task["data"]) == {"key", "sample", "text", "video"}
    assert report.labels == {"sentiment.T": 1, "sentiment.A": 1, "sentiment.V": 1, "sentiment.M": 0}


def test_a_question_whose_media_is_gone_is_withdrawn_and_the_others_go_on(
    asked: Asked, label_studio: LabelStudio, project: Project, client: LabelStudioClient
) -> None:
    project = with_raters(label_studio.use(project), 2, (Modality.AUDIO,))
    gone, there = add_samples(project, 2)
    ask(project, [gone, there])
    project.sample_media(gone).audio.unlink()
    report = push_outbox(project, client)
    assert report.pushed == 1 and "annotate ingest" in report.problems[0]
    found = items(project)
    assert found[gone, "A"].state == QuestionState.WITHDRAWN
    assert found[there, "A"].state == QuestionState.OPEN


def test_a_deleted_question_is_withdrawn_and_its_answers_count_no_more(
    asked: Asked, each_project: Project, raters: list[Rater]
) -> None:
    project = asked(each_project, n=2)
    gone, kept = items(project).values()
    raters[0].answer(gone, sentiment="1")
    raters[0].answer(kept, sentiment="0")
    pull(project)
    raters[1].delete_task(gone)
    report = pull(project)
    assert report.withdrawn == 1 and report.passes["T"] == PassReport(deletions=1)
    assert items(project)[gone.sample_id, "T"].state == QuestionState.WITHDRAWN
    assert label(project) == (0.0, {"0": 1.0}, 1)
    assert pull(project, full=True).withdrawn == 0


def test_a_closed_question_that_loses_an_answer_is_open_again(
    asked: Asked, project: Project, raters: list[Rater]
) -> None:
    project = asked(project, raters=1)
    number = raters[0].answer(only(project), sentiment="1")
    assert pull(project).closed == 1
    raters[0].delete(number)
    pull(project)
    assert only(project).state == QuestionState.OPEN


def test_answers_that_cannot_be_are_reported_until_they_are_updated_and_count_for_nothing(
    asked: Asked, project: Project, raters: list[Rater]
) -> None:
    good = form(sentiment="1")
    unusable = [
        [],
        form(sentiment="7"),
        [{**good[0], "value": {"choices": ["0", "1"]}}],
        [{**good[0], "type": "rating", "value": {"rating": 4}}],
        form(mood="1"),
        [{"nonsense": None}],
    ]
    project = asked(project, n=len(unusable))
    for item, result in zip(items(project).values(), unusable, strict=True):
        raters[0].send(item, result)
    reported = pull(project).problems
    assert len(reported) == len(unusable)
    assert pull(project).problems == pull(project, full=True).problems == reported
    assert rows(project) == [] and label(project) is None
    with reading(project.engine) as session:
        assert session.query(Event).filter_by(kind="unusable-answer").count() == len(unusable)
    finding = Deep(project, Silent()).questions()
    assert finding.state is State.WARN
    assert "1 answer in Label Studio cannot be used" in finding.detail
    assert ", 0 here" not in finding.detail


def test_an_answer_that_was_updated_into_sense_is_not_reported_any_more(
    asked: Asked, project: Project, raters: list[Rater]
) -> None:
    project = asked(project)
    number = raters[0].send(only(project), [])
    assert pull(project).problems
    raters[0].edit(number, sentiment="1")
    assert pull(project).problems == pull(project, full=True).problems == []
    assert Deep(project, Silent()).questions().state is State.OK


def test_an_edit_into_nonsense_takes_the_answer_back_and_keeps_it(
    asked: Asked, project: Project, raters: list[Rater]
) -> None:
    project = asked(project)
    number = raters[0].answer(only(project), sentiment="1")
    pull(project)
    raters[0].send_edit(number, [])
    assert pull(project).problems
    assert [row[1:] for row in rows(project)] == [("answered", "1", False), ("deleted", None, True)]
    assert label(project) is None


def test_answers_that_were_pulled_are_not_read_again(
    asked: Asked, project: Project, client: LabelStudioClient, raters: list[Rater],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project = asked(project, n=3)
    first, second, _ = items(project).values()
    numbers = [rater.answer(first, sentiment="1") for rater in raters]
    skipped = raters[0].skip(second)
    listed = {task.id: task.answer_numbers for task in client.tasks(ls_project(project))}
    assert [sorted(listed[i.ls_task_id] or ()) for i in items(project).values()] == [
        sorted(numbers),
        [skipped],
        [],
    ]
    pull(project)
    read: list[int] = []
    whole_tasks = LabelStudioClient.whole_tasks

    def noted(self: LabelStudioClient, project_id: int, task_ids: list[int]) -> object:
        read.extend(task_ids)
        return whole_tasks(self, project_id, task_ids)

    monkeypatch.setattr(LabelStudioClient, "whole_tasks", noted)
    pull(project)
    assert read == []
    number = raters[1].answer(second, sentiment="0")
    assert pull(project).passes["T"].answers == 1
    assert read == [second.ls_task_id]
    raters[1].delete(number)
    assert pull(project).passes["T"].deletions == 1


def test_a_doubled_question_is_removed_and_an_answer_to_either_counts(
    asked: Asked, project: Project, client: LabelStudioClient, raters: list[Rater]
) -> None:
    project = asked(project, n=2)
    numbered = ls_project(project)
    doubles = client.import_tasks(
        numbered,
        [{"data": {"key": i.key, "sample": i.sample_id, "text": "x"}} for i in items(project).values()],
    )
    answered = only(project)
    answered.ls_task_id = doubles[0]
    raters[0].answer(answered, sentiment="1")
    pull(project)
    assert label(project) == (1.0, {"1": 1.0}, 1)
    assert {task.id for task in client.tasks(numbered)} >= {doubles[0]}
    assert doubles[1] not in {task.id for task in client.tasks(numbered)}


def test_questions_on_another_server_are_left_alone(
    asked: Asked, project: Project, raters: list[Rater]
) -> None:
    project = asked(project)
    with writing(project.engine) as session:
        session.query(LsProject).one().ls_project_id = 999_999
    report = pull(project)
    assert "not on" in report.problems[0]
    assert only(project).state == QuestionState.OPEN


def test_a_personal_access_token_opens_the_door_too(label_studio: LabelStudio) -> None:
    made = httpx.post(
        f"{label_studio.url}/api/token/", headers={"Authorization": f"Token {label_studio.token}"},
        timeout=60, trust_env=False,
    )  # fmt: skip
    client = LabelStudioClient(label_studio.url, made.json()["token"], 60)
    found = client.create_project("by token", "annotate:pat", "<View><Text name='t' value='$t'/></View>", 1)
    assert client.project(found.id) == found
    client.close()


def test_another_number_of_raters_holds_for_questions_that_were_asked_before(
    asked: Asked, project: Project, raters: list[Rater]
) -> None:
    project, (ann, bob) = asked(project, raters=1), raters
    ann.answer(only(project), sentiment="0")
    assert pull(project).closed == 1
    report = pull(with_raters(project, 2, TEXT_ONLY))
    assert "asks 2 people now, not 1; 1 question that fewer have judged is open again" in report.problems[0]
    assert only(project).state == QuestionState.OPEN
    assert bob.queue(ls_project(project), {"sentiment": "1"}) == [only(project).sample_id]
    report = pull(with_raters(project, 2, TEXT_ONLY))
    assert (report.closed, report.problems) == (1, [])


def test_fewer_raters_close_what_waited_for_more(asked: Asked, project: Project, raters: list[Rater]) -> None:
    project, (ann, bob) = asked(project, raters=2), raters
    ann.answer(only(project), sentiment="0")
    assert pull(project).closed == 0
    assert pull(with_raters(project, 1, TEXT_ONLY)).closed == 1
    assert bob.queue(ls_project(project), {"sentiment": "1"}) == [], "nobody else is asked"


def delete_ls_project(label_studio: LabelStudio, ls_project_id: int) -> None:
    headers = {"Authorization": f"Token {label_studio.token}"}
    httpx.delete(f"{label_studio.url}/api/projects/{ls_project_id}/", headers=headers).raise_for_status()


def test_a_pass_deleted_in_label_studio_can_be_asked_again_and_its_answers_stay(
    asked: Asked, project: Project, raters: list[Rater], label_studio: LabelStudio
) -> None:
    project = asked(project, passes=(T, Modality.AUDIO))
    raters[0].answer(only(project), sentiment="1")
    pull(project)
    delete_ls_project(label_studio, ls_project(project))
    report = pull(project)
    assert report.withdrawn == 1 and "1 open question" in report.problems[0]
    assert only(project).state == QuestionState.WITHDRAWN
    assert only(project, Modality.AUDIO).state == QuestionState.OPEN
    assert label(project) == (1.0, {"1": 1.0}, 1)
    assert pull(project).problems == [], "told once"


def test_questions_of_a_lost_server_are_not_taken_for_those_of_a_new_one(
    asked: Asked, project: Project, client: LabelStudioClient, raters: list[Rater], label_studio: LabelStudio
) -> None:
    project = asked(project, n=2, raters=1)
    done, waiting = items(project).values()
    raters[0].answer(done, sentiment="0")
    pull(project)
    delete_ls_project(label_studio, ls_project(project))
    [new] = add_samples(project, 1, name="later")
    ask(project, [new])
    push_outbox(project, client)
    states = {sample: item.state for (sample, _), item in items(project).items()}
    assert states == {
        done.sample_id: QuestionState.CLOSED,
        waiting.sample_id: QuestionState.WITHDRAWN,
        new: QuestionState.OPEN,
    }
    assert pull(project).withdrawn == 0


def test_a_page_changed_by_hand_is_put_right_with_the_next_questions(
    asked: Asked, project: Project, client: LabelStudioClient
) -> None:
    project = asked(project)
    shown = client.project(ls_project(project))
    assert shown is not None
    client.change_page(shown.id, shown.label_config.replace("neutral", "dull"))
    ask(project, add_samples(project, 1, name="later"))
    push_outbox(project, client)
    assert client.project(shown.id) == shown
