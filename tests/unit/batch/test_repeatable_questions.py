"""Which closed questions may be asked once more, and what raters said so far."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from annotate.labelling.labels import rebuild_labels
from annotate.project import Project
from annotate.types import Modality, Role, Split, Task
from db.batches import Candidate, candidates, something_left
from db.engine import reading, writing
from db.labels import read_labels
from db.models import (
    UNANSWERED,
    Annotation,
    Annotator,
    Batch,
    Question,
    QuestionState,
    Sample,
    VideoOrigin,
    now,
)
from db.outbox import reopen_unanswered
from db.votes import answer_counts, answers_by_rater, read_votes
from tests.support.dimensions import classification
from tests.support.factories import add_sample, add_video

QUEUED, OPEN, HELD, CLOSED, WITHDRAWN = QuestionState
T, A, V, M = Modality
PASSES = tuple(Modality)
TASK = Task(classification("mood", "sad", "glad"), T)


@pytest.fixture
def session(project: Project) -> Iterator[Session]:
    with writing(project.engine) as made:
        yield made


@pytest.fixture
def either(each_project: Project) -> Iterator[Session]:
    """On SQLite and on Postgres."""
    with writing(each_project.engine) as made:
        yield made


def sample_in(session: Session, split: Split = Split.TRAIN, name: str = "talk") -> Sample:
    return add_sample(session, add_video(session, f"{name}{split}", split=split))


def asked(
    session: Session, sample: Sample, modality: Modality, state: QuestionState = CLOSED,
    role: Role = Role.ACTIVE, said: str = "ann=glad",
) -> Question:  # fmt: skip
    """A question, and what people said to it, as ``ann=glad bob=skipped``."""
    batch = Batch(strategy="uniform", seed=0, settings={})
    session.add(batch)
    session.flush()
    item = Question(
        batch_id=batch.id, sample_id=sample.id, modality=modality, role=role, rank=0, score=0.0, state=state,
        key=f"{batch.id}",
    )  # fmt: skip
    session.add(item)
    session.flush()
    for number, one in enumerate(said.split()):
        name, word = one.split("=")
        state_of = word if word in {"skipped", "deleted"} else "answered"
        answer(
            session, item, name, word if state_of == "answered" else None, f"{batch.id}#{number}", state_of
        )
    return item


def answer(
    session: Session, item: Question, name: str, value: str | None, origin: str, state: str = "answered"
) -> None:
    rater = session.query(Annotator).filter_by(name=name).one_or_none() or Annotator(name=name)
    session.add(rater)
    session.flush()
    revision = str(session.query(Annotation).count())
    session.add(Annotation(
        sample_id=item.sample_id, task_id=f"mood.{item.modality}", annotator_id=rater.id, state=state,
        value=value, origin=origin, revision=revision, batch_item_id=item.id, created_at=now(), raw={},
    ))  # fmt: skip
    session.flush()


def again(session: Session, most: int = 3, passes: tuple[Modality, ...] = PASSES) -> dict[str, str]:
    """By sample: what may be asked again."""
    found = candidates(session, passes, most)
    return {c.sample_id: "".join(c.again) for c in found if c.again}


def test_nothing_is_asked_again_unless_somebody_wants_to(session: Session) -> None:
    asked(session, sample_in(session), T)
    assert all(not c.again for c in candidates(session, PASSES))
    assert again(session, most=1) == {}


@pytest.mark.parametrize("state", list(QuestionState))
def test_only_a_closed_question_is_asked_again(session: Session, state: QuestionState) -> None:
    sample = sample_in(session)
    asked(session, sample, T, state)
    assert again(session, passes=(T,)) == ({sample.id: "T"} if state == CLOSED else {})


@pytest.mark.parametrize("state", list(QuestionState))
def test_never_while_it_is_being_asked_again_already(session: Session, state: QuestionState) -> None:
    sample = sample_in(session)
    asked(session, sample, T)
    asked(session, sample, T, state, said="")
    assert again(session) == ({} if state in UNANSWERED else {sample.id: "T"})


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        ("ann=glad", True),
        ("ann=glad bob=sad", True),
        ("ann=glad bob=sad cem=sad", False),
        ("ann=glad bob=skipped", True),
        ("ann=glad bob=skipped cem=skipped", False),
        ("ann=glad ann=sad ann=glad", False),  # one rater alone comes to an end, too
        ("ann=glad bob=sad cem=deleted", True),
        ("ann=skipped", False),
        ("ann=deleted", False),
        ("", False),
    ],
)
def test_only_what_was_answered_and_by_few(session: Session, said: str, allowed: bool) -> None:
    sample = sample_in(session)
    asked(session, sample, T, said=said)
    assert again(session) == ({sample.id: "T"} if allowed else {})


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("split", list(Split))
def test_uniform_draws_are_left_alone(session: Session, role: Role, split: Split) -> None:
    sample = sample_in(session, split)
    asked(session, sample, T, role=role)
    allowed = role is Role.ACTIVE and split is Split.TRAIN
    assert again(session) == ({sample.id: "T"} if allowed else {})


def test_a_sample_that_was_ever_drawn_uniformly_is_left_alone(session: Session) -> None:
    sample = sample_in(session)
    asked(session, sample, A, WITHDRAWN, role=Role.AUDIT, said="")
    asked(session, sample, T)
    assert again(session) == {}


@pytest.mark.parametrize(
    ("state", "expected"),
    [(None, "T"), (HELD, "T"), (WITHDRAWN, "T"), (QUEUED, ""), (OPEN, ""), (CLOSED, "M")],
)
def test_who_saw_the_whole_is_asked_for_no_part_of_it(
    session: Session, state: QuestionState | None, expected: str
) -> None:
    sample = sample_in(session)
    asked(session, sample, T)
    if state is not None:
        asked(session, sample, M, state, said="ann=glad" if state == CLOSED else "")
    assert again(session).get(sample.id, "") == expected


def test_a_whole_that_was_taken_back_after_people_could_see_it_was_seen(session: Session) -> None:
    sample = sample_in(session)
    asked(session, sample, T)
    asked(session, sample, M, WITHDRAWN, said="").pushed_at = now()
    session.flush()
    assert again(session) == {}


def test_what_is_left_stays_left_beside_what_is_asked_again(either: Session) -> None:
    session = either
    sample = sample_in(session)
    asked(session, sample, T)
    (found,) = candidates(session, PASSES, 3)
    assert found == Candidate(
        sample.id, Split.TRAIN, (A, V, M), False, frozenset({Role.ACTIVE}), frozenset(), (T,)
    )
    assert found.offered == PASSES
    (found,) = candidates(session, (T,), 3)
    assert (found.passes, found.again, found.offered) == ((), (T,), (T,))
    assert candidates(session, (T,)) == []


def test_what_was_imported_or_cannot_be_shown_is_left_alone(session: Session) -> None:
    labelled, footage, mute = (sample_in(session, name=name) for name in ("labelled", "footage", "mute"))
    answer(session, Question(sample_id=labelled.id, modality="T"), "table", "glad", "file#1")
    rebuild_labels(session, [TASK])
    video = asked(session, footage, V).sample_id
    session.get_one(type(add_video(session, "x")), footage.video_sha256).origin = VideoOrigin.IMPORTED
    asked(session, mute, T)
    mute.transcript = " "
    session.flush()
    assert again(session) == {}
    assert video == footage.id


def test_the_label_is_made_of_all_people_and_of_the_newer_answer_of_each(either: Session) -> None:
    session = either
    sample = sample_in(session)
    asked(session, sample, T, said="ann=sad bob=sad")
    asked(session, sample, T, said="ann=glad cem=glad")
    rebuild_labels(session, [TASK])
    (label,) = read_labels(session)
    assert (label.value, label.raters) == ("glad", 3)
    names = {rater.id: rater.name for rater in session.query(Annotator)}
    (said,) = answers_by_rater(session, [TASK], [sample.id]).values()
    assert {names[rater]: value for rater, value in said.items()} == {
        "ann": "glad",
        "bob": "sad",
        "cem": "glad",
    }
    assert answer_counts(session, [sample.id]) == {sample.id: {"T": 4}}
    assert read_votes(session, [TASK]) == {(sample.id, TASK.id): ("glad", "sad", "glad")}
    assert answers_by_rater(session, [TASK], ["other"]) == {}


def test_a_corrected_answer_counts_once_and_one_that_was_taken_back_not_at_all(session: Session) -> None:
    sample = sample_in(session)
    item = asked(session, sample, T)
    answer(session, item, "ann", "sad", f"{item.batch_id}#0")
    assert answer_counts(session, [sample.id]) == {sample.id: {"T": 1}}
    answer(session, item, "ann", None, f"{item.batch_id}#0", "deleted")
    assert answer_counts(session, [sample.id]) == {}
    assert again(session) == {}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([CLOSED, CLOSED], [CLOSED, OPEN]),
        ([CLOSED, OPEN], [CLOSED, OPEN]),
        ([CLOSED, WITHDRAWN], [OPEN, WITHDRAWN]),
        ([CLOSED], [OPEN]),
    ],
)
def test_when_more_people_are_to_be_asked_one_question_of_a_pass_is_open_again_at_most(
    either: Session, states: list[QuestionState], expected: list[QuestionState]
) -> None:
    session = either
    sample = sample_in(session)
    found = [asked(session, sample, T, state) for state in states]
    other = asked(session, sample, A)
    opened = reopen_unanswered(session, [item.id for item in (*found, other)], 2)
    session.flush()
    assert [item.state for item in found] == expected
    assert other.state == OPEN
    assert opened == 1 + (expected != states)


def test_a_large_pool_costs_no_more_questions_to_the_database(project: Project) -> None:
    with writing(project.engine) as session:
        video = add_video(session, "long")
        for i in range(300):
            add_sample(session, video, start=3.0 * i)
        asked(session, session.query(Sample).first(), T)
    counts = []
    with reading(project.engine) as session:
        listener = lambda *said: counts.append(said[2])  # noqa: E731
        event.listen(project.engine, "before_cursor_execute", listener)
        found = candidates(session, PASSES, 3)
        event.remove(project.engine, "before_cursor_execute", listener)
    assert len(found) == 300 and sum(bool(c.again) for c in found) == 1
    assert sum(said.startswith("SELECT") for said in counts) == 4


def test_answers_about_another_dimension_do_not_count_as_second_answers(either: Session) -> None:
    session = either
    sample = sample_in(session)
    asked(session, sample, M)
    item = asked(session, sample, M, said="")
    item.dimensions = "energy"
    session.flush()
    answer(session, item, "bob", "high", "later#1")
    assert answer_counts(session, [sample.id]) == {sample.id: {"M": 1}}


@pytest.mark.parametrize(
    ("tasks", "passes", "partial"),
    [
        ((), (), {}),
        (("mood.T",), (), {}),
        (("energy.T",), (T,), {T: ("energy",)}),
        (("pace.T", "energy.T", "mood.T", "energy.A"), (T,), {T: ("energy", "pace")}),
    ],
)
def test_of_a_judged_pass_the_tasks_that_lack_a_label_are_asked_alone(
    session: Session, tasks: tuple[str, ...], passes: tuple[Modality, ...], partial: object
) -> None:
    sample = sample_in(session)
    item = asked(session, sample, T)
    rebuild_labels(session, [TASK])
    found = candidates(session, (T,), 0, tasks)
    assert [(c.passes, c.partial) for c in found] == ([(passes, partial)] if passes else [])
    assert something_left(session, (T,), 0, tasks) == bool(passes)
    item.state = QuestionState.OPEN
    session.flush()
    assert candidates(session, (T,), 0, tasks) == []


def test_imported_labels_are_kept_and_a_withdrawn_page_of_one_dimension_is_that_page_again(
    session: Session,
) -> None:
    sample = sample_in(session)
    answer(session, Question(sample_id=sample.id, modality="T"), "table", "glad", "file#1")
    rebuild_labels(session, [TASK])
    asked(session, sample, T, WITHDRAWN, said="").dimensions = "energy"
    session.flush()
    assert candidates(session, (T,)) == [] and not something_left(session, (T,))
    (found,) = candidates(session, (T,), 0, ("energy.T",))
    assert found.partial == {T: ("energy",)}
