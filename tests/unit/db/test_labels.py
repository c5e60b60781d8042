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
from tests.support.factories import add_label, add_sample, add_video

SENTIMENT = Task(
    Dimension("sentiment", Kind.REGRESSION, tuple(Answer(v, str(v)) for v in (-1.0, 0.0, 1.0))), Modality.TEXT
)
EMOTION = Task(
    Dimension("emotion", Kind.CLASSIFICATION, tuple(Answer(v, v) for v in ("sad", "happy", "calm"))),
    Modality.TEXT,
)
THEMES = Task(
    Dimension("themes", Kind.MULTILABEL, tuple(Answer(v, v) for v in ("work", "family", "money"))),
    Modality.TEXT,
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def annotate(project: Project, *said: tuple[str, str, str, str | None], task: Task = SENTIMENT) -> str:
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
                    sample_id=sample.id, task_id=task.id, annotator_id=people[rater].id, state=state,
                    value=value, origin=origin, revision=str(minute), raw={},
                    created_at=START + timedelta(minutes=minute),
                )
            )  # fmt: skip
            session.flush()
        return sample.id


def value_of(project: Project) -> tuple[float | str, int] | None:
    with writing(project.engine) as session:
        rebuild_labels(session, [SENTIMENT, EMOTION, THEMES])
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


@pytest.mark.parametrize("said", ["sport", "work|sport", "work|work", "|", "work|", "WORK", "work,family"])
def test_what_is_no_set_of_answers_makes_no_multilabel_label(each_project: Project, said: str) -> None:
    annotate(each_project, ("ann", "s#1", "answered", said), task=THEMES)
    assert value_of(each_project) is None


def test_that_nothing_is_ticked_is_an_answer(each_project: Project) -> None:
    annotate(each_project, ("ann", "s#1", "answered", ""), ("bob", "s#2", "skipped", None), task=THEMES)
    assert value_of(each_project) == ("", 1)


def test_in_a_dimension_of_one_answer_each_nothing_is_no_answer(each_project: Project) -> None:
    annotate(each_project, ("ann", "s#1", "answered", ""), task=EMOTION)
    assert value_of(each_project) is None


def test_a_multilabel_label_holds_what_at_least_half_of_the_raters_ticked() -> None:
    found = label("s", THEMES, ["money|work", "work", "", "money|work|family"])
    assert (found.category, found.number, found.raters) == ("work|money", None, 4)
    assert found.distribution == {"work": 0.75, "family": 0.25, "money": 0.5}
    assert found.confidence == pytest.approx((0.75 + 0.75 + 0.5) / 3)


def test_a_multilabel_label_of_nothing_tells_that_every_share_is_zero() -> None:
    found = label("s", THEMES, ["", ""])
    assert (found.category, found.confidence) == ("", 1.0)
    assert found.distribution == {"work": 0.0, "family": 0.0, "money": 0.0}


@given(st.lists(st.sets(st.sampled_from(["work", "family", "money"])), min_size=1, max_size=9), st.randoms())
def test_the_order_of_raters_and_ticks_does_not_matter(said: list[set[str]], random: object) -> None:
    one = label("s", THEMES, [THEMES.dimension.joined(ticks) for ticks in said])
    random.shuffle(said)  # type: ignore[attr-defined]
    two = label("s", THEMES, ["|".join(sorted(ticks)) for ticks in said])
    assert (one.category, one.distribution, one.confidence) == (
        two.category,
        two.distribution,
        two.confidence,
    )
