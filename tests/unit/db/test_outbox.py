"""Questions change state as they should, and in no other way."""

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from annotate.project import Project
from annotate.types import Form, Modality
from db import outbox
from db.engine import open_engine, reading, writing
from db.models import (
    Annotation,
    Annotator,
    Batch,
    Event,
    Question,
    QuestionState,
    Sample,
    SampleStatus,
)
from tests.support.factories import add_sample, add_video
from tests.support.processes import PATIENCE

QUEUED, OPEN, HELD, CLOSED, WITHDRAWN = QuestionState
Asked = dict[str, QuestionState]


def ask(project: Project, states: Asked, sample: str = "talk", rank: int = 0) -> str:
    """One sample in a batch of its own, with a question per pass; the sample's id."""
    with writing(project.engine) as session:
        made = add_sample(session, add_video(session, sample))
        batch = Batch(strategy="uniform", seed=0, settings={})
        session.add(batch)
        session.flush()
        for modality, state in states.items():
            session.add(
                Question(
                    batch_id=batch.id, sample_id=made.id, modality=modality, role="active", rank=rank,
                    score=0.0, state=state, key=f"{sample}-{batch.id}-{modality}",
                )
            )  # fmt: skip
        return made.id


def states(project: Project) -> list[int]:
    with reading(project.engine) as session:
        return [item.state for item in session.query(Question).order_by(Question.id)]


def test_a_pass_that_is_no_longer_asked_holds_nothing_up(each_project: Project) -> None:
    ask(each_project, {"T": CLOSED, "V": OPEN, "M": HELD})
    with writing(each_project.engine) as session:
        assert outbox.release(session, (Modality.TEXT, Modality.MULTIMODAL)) == 1
    assert states(each_project) == [CLOSED, OPEN, QUEUED]


def test_what_nobody_saw_is_taken_back_when_its_sample_was_cut_anew_or_its_pass_was_dropped(
    each_project: Project,
) -> None:
    retired = ask(each_project, {"T": OPEN, "A": QUEUED, "M": HELD}, "cut anew")
    ask(each_project, {"T": QUEUED, "V": QUEUED, "M": HELD}, "kept")
    passes = (Modality.TEXT, Modality.AUDIO, Modality.MULTIMODAL)
    with writing(each_project.engine) as session:
        session.get_one(Sample, retired).status = SampleStatus.RETIRED
        session.flush()
        assert outbox.withdraw_unwanted(session, passes) == 3
    assert states(each_project) == [OPEN, WITHDRAWN, WITHDRAWN, QUEUED, WITHDRAWN, HELD]


@pytest.mark.parametrize(
    ("earlier", "released"),
    [
        ({"T": CLOSED, "A": CLOSED, "V": CLOSED}, 1),
        ({"A": CLOSED, "V": CLOSED}, 1),
        ({"T": CLOSED, "A": OPEN, "V": CLOSED}, 0),
        ({"T": CLOSED, "A": QUEUED, "V": CLOSED}, 0),
        ({"T": CLOSED, "A": WITHDRAWN, "V": CLOSED}, 0),
    ],
)
def test_the_whole_waits_until_every_earlier_pass_that_was_asked_is_closed(
    each_project: Project, earlier: Asked, released: int
) -> None:
    ask(each_project, {**earlier, "M": HELD})
    with writing(each_project.engine) as session:
        assert outbox.release(session) == released
    assert states(each_project)[-1] == (QUEUED if released else HELD)


def test_a_pass_asked_again_after_a_withdrawal_frees_the_whole(project: Project) -> None:
    ask(project, {"T": WITHDRAWN, "M": HELD})
    with writing(project.engine) as session:
        item = session.query(Question).first()
        assert item is not None
        session.add(
            Question(batch_id=item.batch_id, sample_id=item.sample_id, modality="T", role="active", rank=0,
                      score=0.0, state=CLOSED, key="again")
        )  # fmt: skip
        session.flush()
        assert outbox.release(session) == 1


@pytest.mark.parametrize(
    ("said", "raters", "closed"),
    [
        ([("ann", "answered"), ("bob", "skipped")], 2, 1),
        ([("ann", "answered"), ("ann", "answered")], 2, 0),
        ([("ann", "answered"), ("bob", "deleted")], 2, 0),
        ([], 1, 0),
    ],
)
def test_a_question_closes_when_enough_different_people_stand_by_what_they_did(
    each_project: Project, said: list[tuple[str, str]], raters: int, closed: int
) -> None:
    sample_id = ask(each_project, {"T": OPEN})
    with writing(each_project.engine) as session:
        item = session.query(Question).one()
        people = {name: Annotator(name=name) for name, _ in said}
        session.add_all(people.values())
        session.flush()
        for number, (name, state) in enumerate(said):
            session.add(
                Annotation(
                    sample_id=sample_id, task_id="sentiment.T", annotator_id=people[name].id, state=state,
                    value=None, origin=f"s#{number}", revision="1", batch_item_id=item.id,
                    created_at=datetime(2026, 1, 1, tzinfo=UTC), raw={},
                )
            )  # fmt: skip
        session.flush()
        assert outbox.close_answered(session, raters) == closed
    assert states(each_project) == [CLOSED if closed else OPEN]


def test_the_first_of_every_batch_comes_before_the_last_of_any(project: Project) -> None:
    ask(project, {"T": QUEUED}, "one", rank=9)
    ask(project, {"T": QUEUED}, "two", rank=0)
    with reading(project.engine) as session:
        scores = [item.score for item in outbox.queued(session)]
    assert scores == [0.9, 0.0]


def test_only_a_queued_question_can_be_opened(project: Project) -> None:
    ask(project, {"T": CLOSED, "A": QUEUED})
    with writing(project.engine) as session:
        outbox.mark_open(session, 1, {item.id: item.id for item in session.query(Question)})
    assert states(project) == [CLOSED, OPEN]


def test_why_a_question_was_withdrawn_is_kept(project: Project) -> None:
    ask(project, {"T": OPEN})
    with writing(project.engine) as session:
        assert outbox.withdraw(session, [1], "deleted in Label Studio") == 1
        assert outbox.withdraw(session, [], "nothing") == 0
    with reading(project.engine) as session:
        assert session.query(Event).one().payload == {"items": [1], "reason": "deleted in Label Studio"}
    assert states(project) == [WITHDRAWN]


def test_the_same_question_is_never_open_twice(each_project: Project) -> None:
    ask(each_project, {"T": OPEN})
    with pytest.raises(IntegrityError), writing(each_project.engine) as session:
        item = session.query(Question).one()
        session.add(
            Question(batch_id=item.batch_id, sample_id=item.sample_id, modality="T", role="active", rank=0,
                      score=0.0, state=QUEUED, key="another")
        )  # fmt: skip


def test_the_marker_of_a_project_never_changes(each_project: Project) -> None:
    with writing(each_project.engine) as session:
        first = outbox.marker(session)
    with writing(each_project.engine) as session:
        assert outbox.marker(session) == first


def test_the_newest_label_studio_project_of_a_pass_is_the_one(project: Project) -> None:
    with writing(project.engine) as session:
        outbox.remember_project(session, Modality.TEXT, "2026-01-02", 7, "a")
        outbox.remember_project(session, Modality.TEXT, "2026-01-01", 9, "a")
        outbox.remember_project(session, Modality.TEXT, "2026-01-02", 7, "b")
    with reading(project.engine) as session:
        assert outbox.ls_projects(session) == {Modality.TEXT: 7}
        assert outbox.ls_project_rows(session, Modality.TEXT)[0].config_hash == "b"


def test_one_pusher_waits_for_the_other_on_postgres(postgres_url: str) -> None:
    engine, order = open_engine(postgres_url), []
    inside = threading.Event()

    def second() -> None:
        inside.wait(PATIENCE)
        with outbox.sole_pusher(engine):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with outbox.sole_pusher(engine):
        inside.set()
        thread.join(0.3)
        order.append("first")
    thread.join(PATIENCE)
    engine.dispose()
    assert order == ["first", "second"]


def add_question(session: Session, like: Question, state: QuestionState, dimensions: str) -> None:
    """A question about some dimensions of a sample that was asked before."""
    session.add(
        Question(
            batch_id=like.batch_id, sample_id=like.sample_id, modality=like.modality, role="active", rank=0,
            score=0.0, state=state, key=f"{like.key}-{dimensions}", dimensions=dimensions,
        )
    )  # fmt: skip
    session.flush()


@pytest.mark.parametrize(("text", "released"), [(None, 1), (OPEN, 0), (WITHDRAWN, 0), (CLOSED, 1)])
def test_a_whole_that_asks_one_dimension_waits_for_parts_that_ask_the_same(
    each_project: Project, text: QuestionState | None, released: int
) -> None:
    ask(each_project, {"T": CLOSED, "A": CLOSED, "M": CLOSED})
    with writing(each_project.engine) as session:
        first, _, whole = session.query(Question).order_by(Question.id)
        add_question(session, whole, HELD, "emotion")
        if text is not None:
            add_question(session, first, text, "emotion")
        assert outbox.release(session) == released


def test_what_asks_only_dimensions_that_are_gone_is_taken_back(each_project: Project) -> None:
    ask(each_project, {"T": CLOSED, "A": CLOSED, "M": CLOSED})
    with writing(each_project.engine) as session:
        for item, names in zip(
            session.query(Question).order_by(Question.id).all(),
            ("emotion", "emotion,energy", "energy"),
            strict=True,
        ):
            add_question(session, item, QUEUED, names)
        assert outbox.withdraw_unwanted(session, tuple(Modality), ["sentiment", "energy"]) == 1
    assert states(each_project) == [CLOSED] * 3 + [WITHDRAWN, QUEUED, QUEUED]


def test_losing_the_label_studio_project_of_one_page_leaves_the_questions_of_another(
    project: Project,
) -> None:
    ask(project, {"T": CLOSED})
    with writing(project.engine) as session:
        item = session.query(Question).one()
        add_question(session, item, OPEN, "emotion")
        for one in session.query(Question):
            one.ls_project_id, one.ls_task_id = 7, one.id
        session.flush()
        assert outbox.leave_lost_project(session, Form(Modality.TEXT)) == 0
        assert [one.ls_project_id for one in session.query(Question).order_by(Question.id)] == [None, 7]
        assert outbox.leave_lost_project(session, Form(Modality.TEXT, "emotion")) == 1
