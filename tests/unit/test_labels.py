"""Labels are what the latest live answers agree on, and can always be made again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.project import Project
from annotate.types import Answer, Dimension, Kind, Modality, Task
from db.engine import reading, writing
from db.labels import label, read_labels, rebuild_labels
from db.models import Annotation, Annotator, Label
from tests.factories import add_label, add_sample, add_video

SENTIMENT = Task(
    Dimension("sentiment", Kind.REGRESSION, tuple(Answer(v, str(v)) for v in (-1.0, 0.0, 1.0))), Modality.TEXT
)
EMOTION = Task(
    Dimension("emotion", Kind.CLASSIFICATION, tuple(Answer(v, v) for v in ("sad", "happy", "calm"))),
    Modality.TEXT,
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def annotate(project: Project, *said: tuple[str, str, str, str | None]) -> str:
    """Store (rater, origin, state, value) one minute apart; the sample's id."""
    with writing(project.engine) as session:
        sample = add_sample(session, add_video(session, "talk"))
        people: dict[str, Annotator] = {}
        for minute, (rater, origin, state, value) in enumerate(said):
            if rater not in people:
                people[rater] = Annotator(name=rater)
                session.add(people[rater])
                session.flush()
            session.add(
                Annotation(
                    sample_id=sample.id, task_id=SENTIMENT.id, annotator_id=people[rater].id, state=state,
                    value=value, origin=origin, revision=str(minute), raw={},
                    created_at=START + timedelta(minutes=minute),
                )
            )  # fmt: skip
            session.flush()
        return sample.id


def value_of(project: Project) -> tuple[float | str, int] | None:
    with writing(project.engine) as session:
        rebuild_labels(session, [SENTIMENT, EMOTION])
        found = read_labels(session)
    return (found[0].value, found[0].raters) if found else None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([("ann", "s#1", "answered", "0")], (0.0, 1)),
        ([("ann", "s#1", "answered", "-1"), ("bob", "s#2", "answered", "1")], (0.0, 2)),
        ([("ann", "s#1", "skipped", None)], None),
        ([("ann", "s#1", "answered", "1"), ("ann", "s#1", "deleted", None)], None),
        ([("ann", "s#1", "answered", "1"), ("ann", "s#1", "answered", "-1")], (-1.0, 1)),
        ([("ann", "s#1", "answered", "1"), ("ann", "s#2", "answered", "-1")], (-1.0, 1)),
        (
            [("a", "s#1", "answered", "1"), ("a", "s#2", "answered", "0"), ("a", "s#2", "deleted", None)],
            (1.0, 1),
        ),
        ([("ann", "s#1", "answered", "1"), ("ann", "s#2", "skipped", None)], (1.0, 1)),
        ([("ann", "s#1", "answered", "7")], None),
    ],
)  # fmt: skip
def test_the_latest_live_answer_of_each_rater_counts(
    each_project: Project, said: list[tuple[str, str, str, str | None]], expected: tuple[float, int] | None
) -> None:
    annotate(each_project, *said)
    assert value_of(each_project) == expected


def test_the_view_is_the_same_however_often_it_is_made(each_project: Project) -> None:
    annotate(each_project, ("ann", "s#1", "answered", "1"), ("bob", "s#2", "answered", "0"))
    first = value_of(each_project)
    with writing(each_project.engine) as session:
        session.query(Label).delete()
    assert value_of(each_project) == first == (0.5, 2)


def test_only_the_samples_asked_for_are_made_again(project: Project) -> None:
    with writing(project.engine) as session:
        video = add_video(session, "talk")
        one, two = add_sample(session, video), add_sample(session, video, start=5)
        add_label(session, one, SENTIMENT.id, 1.0)
        add_label(session, two, SENTIMENT.id, 1.0)
        rebuild_labels(session, [SENTIMENT], [one.id])
        kept = two.id
    with reading(project.engine) as session:
        assert [found.sample_id for found in read_labels(session)] == [kept]


@given(st.lists(st.sampled_from(["-1", "0", "1"]), min_size=1, max_size=9), st.randoms())
def test_the_order_of_answers_does_not_matter(aliases: list[str], random: object) -> None:
    shuffled = list(aliases)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, two = label("s", SENTIMENT, aliases), label("s", SENTIMENT, shuffled)
    assert (one.number, one.distribution, one.confidence) == (two.number, two.distribution, two.confidence)
    assert list(one.distribution) == list(two.distribution)
    assert sum(one.distribution.values()) == pytest.approx(1)
    assert one.number is not None and -1 <= one.number <= 1


def test_a_tie_goes_to_the_answer_that_stands_first_and_shows_in_the_confidence() -> None:
    found = label("s", EMOTION, ["calm", "happy"])
    assert (found.category, found.confidence, found.number) == ("happy", 0.5, None)
    assert found.distribution == {"happy": 0.5, "calm": 0.5}
