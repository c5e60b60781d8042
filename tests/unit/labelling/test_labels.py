"""Labels are what the latest live answers agree on, and can always be made again."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from annotate.labelling import labels
from annotate.labelling.labels import label_differences, rebuild_labels
from annotate.project import Project
from annotate.types import Aggregate, Dimension, Kind, Modality, Task
from db.engine import reading, writing
from db.labels import read_labels
from db.models import Annotation, Annotator, Label
from tests.support import dimensions
from tests.support.factories import add_label, add_sample, add_video

SENTIMENT = Task(dimensions.SENTIMENT, Modality.TEXT)
EMOTION = Task(dimensions.classification("emotion", "sad", "happy", "calm"), Modality.TEXT)
THEMES = Task(dimensions.THEMES, Modality.TEXT)
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


class MostGiven:
    """Gives every sample the answer that is most frequent in all samples together."""

    kinds, rule, per_sample = frozenset({Kind.CLASSIFICATION}), "the most frequent answer anywhere", False

    def fit_predict(
        self, dimension: Dimension, votes: Mapping[str, Mapping[int, str]]
    ) -> dict[str, Aggregate]:
        counts = Counter(answer for answers in votes.values() for answer in answers.values())
        value = max(sorted(counts), key=lambda alias: counts[alias])
        return {
            sample: Aggregate(value, {value: 1.0}, 1.0, len(answers)) for sample, answers in votes.items()
        }


def test_an_aggregator_that_learns_from_all_samples_makes_their_labels_again(
    each_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "default_aggregator", lambda kind: MostGiven())
    with writing(each_project.engine) as session:
        video, rater = add_video(session, "talk"), Annotator(name="ann")
        session.add(rater)
        ids = [add_sample(session, video, start=5 * i).id for i in range(3)]
        session.flush()
        for sample_id, value in zip(ids, ("sad", "happy", "happy"), strict=True):
            session.add(
                Annotation(
                    sample_id=sample_id, task_id=EMOTION.id, annotator_id=rater.id, state="answered",
                    value=value, origin=f"s#{sample_id}", revision="0", raw={}, created_at=START,
                )
            )  # fmt: skip
            session.flush()
            rebuild_labels(session, [EMOTION], [sample_id])
            assert label_differences(session, [EMOTION]) == []
        assert {label.sample_id: label.value for label in read_labels(session)} == dict.fromkeys(ids, "happy")


def test_a_label_that_the_annotations_do_not_make_is_found(each_project: Project) -> None:
    sample_id = annotate(each_project, ("ann", "s#1", "answered", "1"), ("bob", "s#2", "answered", "0"))
    with writing(each_project.engine) as session:
        (missing,) = label_differences(session, [SENTIMENT])
        assert (missing.sample_id, missing.stored, missing.rebuilt) == (sample_id, "", "0.5 by 2")
        rebuild_labels(session, [SENTIMENT])
        assert label_differences(session, [SENTIMENT]) == []
        session.query(Label).one().confidence = 0.9
        session.flush()
        (changed,) = label_differences(session, [SENTIMENT])
        assert (changed.stored, changed.rebuilt) == ("0.5 by 2", "0.5 by 2")
        session.query(Label).one().number = None
        session.flush()
        assert len(label_differences(session, [SENTIMENT])) == 1
