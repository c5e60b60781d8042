"""A strategy that weighs what raters said may ask a question once more: against the database, with a stand-in
for Label Studio."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from annotate.batch import choose as choose_module
from annotate.batch.predictor_source import PredictorSource
from annotate.batch.request import Request
from annotate.batch.snapshot import read_snapshot
from annotate.errors import ConfigError, NothingToDo
from annotate.labelling.labels import rebuild_labels
from annotate.labelstudio.server import StudioFolder
from annotate.project import Project
from annotate.steps.export import export
from annotate.steps.next_batch import NextBatchReport, next_batch
from annotate.steps.status import status
from annotate.types import Kind, Modality, Role
from db import batches, outbox
from db.engine import reading, writing
from db.labels import read_labels
from db.models import Annotation, Annotator, Question, QuestionState, now
from db.votes import answers_by_rater
from tests.journeys.test_next_batch import (  # noqa: F401 - fixtures
    Studio,
    ask,
    fill,
    items,
    quick_training,
    samples_of,
    side,
    studio,
)

A, V, M = Modality.AUDIO, Modality.VISION, Modality.MULTIMODAL
Say = Callable[[str], str]
Make = Callable[..., Project]


@pytest.fixture
def make(make_project: Make, monkeypatch: pytest.MonkeyPatch) -> Make:
    """An emotion project that asks few people at a time."""

    def made(raters: int = 2, most: int = 5, passes: str = '["M"]', **options: object) -> Project:
        monkeypatch.setenv("ANNOTATE_PROTOCOL__RATERS", str(raters))
        monkeypatch.setenv("ANNOTATE_PROTOCOL__PASSES", passes)
        monkeypatch.setenv("ANNOTATE_BATCH__MOST_RATERS", str(most))
        return make_project(preset="emotion", **options)

    return made


def plain(sample_id: str) -> str:
    return "happy" if side(sample_id) > 0 else "sad"


def rate(project: Project, **says: Say) -> None:
    """Raters answer every open question, and what closes or waits for it follows, as a pull does it."""
    settings = project.settings
    with writing(project.engine) as session:
        for name, say in says.items():
            rater = session.scalar(select(Annotator).where(Annotator.name == name)) or Annotator(name=name)
            session.add(rater)
            session.flush()
            for item in session.scalars(select(Question).where(Question.state == QuestionState.OPEN)).all():
                for task in settings.tasks(Modality(item.modality)):
                    value = say(item.sample_id) if task.dimension.kind is Kind.CLASSIFICATION else "0.5"
                    session.add(Annotation(
                        sample_id=item.sample_id, task_id=task.id, annotator_id=rater.id, state="answered",
                        value=value, origin=f"{item.key}#{name}", revision="1", batch_item_id=item.id,
                        created_at=now(), raw={},
                    ))  # fmt: skip
        session.flush()
        outbox.close_answered(session, settings.protocol.raters)
        outbox.release(session, settings.passes)
        rebuild_labels(session, settings.tasks())


def active(project: Project, batch: int | None = None) -> list[str]:
    return sorted({item.sample_id for item in items(project, batch) if item.role == Role.ACTIVE})


def asked_all(project: Project, **fill_with: int) -> list[str]:
    """Every sample is asked and answered by two people, who disagree about three active ones: these."""
    fill(project, **fill_with)
    ask(project, n=1000)
    doubtful = active(project)[:3]
    rate(project, ann=plain, bob=lambda i: "fear" if i in doubtful else plain(i))
    return doubtful


def again(report: NextBatchReport) -> list[str]:
    return [note for note in report.notes if "again" in note]


@pytest.mark.usefixtures("quick_training")
@pytest.mark.parametrize("tasks", [(), ("emotion.M",)])
def test_of_settled_questions_those_are_asked_again_that_raters_disagree_about(
    make: Make, database_url: str | None, tasks: Sequence[str]
) -> None:
    project = make(database=database_url)
    doubtful = asked_all(project)
    before = {item.id for item in items(project)}
    report = ask(project, n=3, strategy="active-lab", tasks=tasks)
    assert (report.samples, report.questions, report.left) == (3, {"M": 3}, 0)
    assert again(report) == ["3 questions are asked again"]
    new = items(project, report.batch)
    assert sorted(item.sample_id for item in new) == doubtful
    assert not before & {item.id for item in new}
    assert {item.state for item in new} == {QuestionState.OPEN}


@pytest.mark.usefixtures("quick_training")
def test_answers_are_added_until_there_are_enough_and_all_are_exported(make: Make, tmp_path: Path) -> None:
    project = make(most=4)
    doubtful = asked_all(project, train=12, valid=3, test=3)
    with pytest.raises(NothingToDo, match="only a model can choose") as caught:
        ask(project, n=3, strategy="active-lab", dry_run=True)
    assert caught.value.hint == "annotate train"
    assert ask(project, n=3, strategy="active-lab").samples == 3
    assert status(project).next == "annotate studio up"  # somebody has to answer
    rate(project, cem=plain, dan=plain)
    dry = ask(project, n=1000, strategy="active-lab", dry_run=True)
    assert {item.passes for item in dry.items} == {"M"} and dry.left == 0
    with reading(project.engine) as session:
        said = {label.sample_id: label for label in read_labels(session) if label.task_id == "emotion.M"}
    assert {said[i].raters for i in doubtful} == {4}
    assert all(said[i].value == plain(i) for i in doubtful)
    assert {label.raters for i, label in said.items() if i not in doubtful} == {2}
    settled = set(active(project)) - set(doubtful)
    report = ask(project, n=1000, strategy="active-lab")
    assert samples_of(project, report.batch) == settled
    rate(project, cem=plain, dan=plain)
    with pytest.raises(NothingToDo, match="every sample was asked and answered"):
        ask(project, n=1000, strategy="active-lab")
    export(project, format="jsonl", dest=tmp_path / "out")
    lines = [
        json.loads(line)
        for file in (tmp_path / "out").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    labels = {line["id"]: line["labels"]["emotion.M"] for line in lines}
    again = set(doubtful) | settled
    assert {labels[i]["raters"] for i in again} == {4}
    assert {label["raters"] for i, label in labels.items() if i not in again} == {2}
    assert {labels[i]["distribution"]["fear"] for i in doubtful} == {0.25}


@pytest.mark.usefixtures("quick_training")
def test_status_says_to_ask_again_while_the_strategy_of_the_project_would(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StudioFolder, "running", lambda folder: object())
    project = make(most=3)
    asked_all(project, train=12, valid=3, test=3)
    assert status(project).next.startswith("annotate export")
    eager = project.overruled("batch", strategy="active-lab")
    assert status(eager).next == "annotate next-batch"
    assert status(eager.overruled("batch", ask="questions")).next.startswith("annotate export")
    assert status(eager.overruled("batch", strategy="who-knows")).next.startswith("annotate export")
    ask(eager, n=1000, strategy="active-lab")
    rate(project, cem=plain, dan=plain)
    assert status(eager).next.startswith("annotate export")


@pytest.mark.usefixtures("quick_training")
def test_only_a_strategy_that_weighs_votes_asks_again(make: Make) -> None:
    project = make()
    asked_all(project)
    for name in ("auto", "least-confidence", "uniform", "badge", "power:bald"):
        with pytest.raises(NothingToDo, match="every sample was asked and answered"):
            ask(project, strategy=name)
    with pytest.raises(NothingToDo, match="every sample was asked and answered"):
        ask(project, strategy="active-lab", whole_samples=False)
    assert ask(project, n=2, strategy="power:active-lab").samples == 2


@pytest.mark.usefixtures("quick_training")
def test_new_samples_and_old_ones_are_ranked_together_and_uniform_draws_stay_fresh(make: Make) -> None:
    project = make()
    fill(project, train=60, valid=10, test=10)
    ask(project, n=40, strategy="uniform")
    old, doubtful = samples_of(project), active(project)[:3]
    rate(project, ann=plain, bob=lambda i: "fear" if i in doubtful else plain(i))
    report = ask(project, n=40, strategy="active-lab")
    assert again(report) == ["4 questions are asked again"]
    rows = items(project, report.batch)
    chosen = {row.sample_id for row in rows if row.role == Role.ACTIVE}
    assert len(chosen & old) == 4 and set(doubtful) < chosen
    assert not {row.sample_id for row in rows if row.role != Role.ACTIVE} & old
    assert report.left == 80 - 40 - len(samples_of(project, report.batch) - old)
    assert max(Counter((row.sample_id, row.modality) for row in rows).values()) == 1


@pytest.mark.usefixtures("quick_training")
def test_the_whole_waits_while_a_part_is_asked_again(make: Make) -> None:
    project = make(raters=1, passes='["A", "V", "M"]')
    fill(project, train=20, valid=3, test=3)
    ask(project, n=1000, tasks=["emotion.A"])
    rate(project, ann=plain)
    sample = active(project)[0]
    report = ask(project, n=1000, strategy="active-lab")
    assert again(report) == [f"{len(active(project))} questions are asked again"]

    def states() -> list[tuple[str, QuestionState]]:
        return sorted((row.modality, row.state) for row in items(project) if row.sample_id == sample)

    closed, opened, held, queued = (QuestionState[word] for word in ("CLOSED", "OPEN", "HELD", "QUEUED"))
    assert states() == [("A", opened), ("A", closed), ("M", held), ("V", opened)]
    with writing(project.engine) as session:
        for row in session.scalars(select(Question).where(Question.modality == V)):
            row.state = closed
        outbox.release(session)
    assert states() == [("A", opened), ("A", closed), ("M", held), ("V", closed)]
    rate(project, bob=plain)
    assert states() == [("A", closed), ("A", closed), ("M", queued), ("V", closed)]
    with reading(project.engine) as session:
        assert not [c for c in batches.candidates(session, (A, V, M), 5) if c.sample_id == sample]


@pytest.mark.usefixtures("quick_training")
def test_a_budget_pays_for_what_is_asked_again(make: Make) -> None:
    project = make()
    asked_all(project)
    report = next_batch(project, strategy="active-lab", budget="5m")
    each = 2 * (6 + 2 + 2.0)  # two raters; a clip of two seconds, two dimensions
    assert report.samples == 300 // each and report.seconds == each * report.samples


@pytest.mark.usefixtures("quick_training")
def test_why_nothing_is_asked_again_is_said(make: Make) -> None:
    project = make(raters=2, most=2)
    fill(project)
    ask(project, n=30)
    rate(project, ann=plain, bob=plain)
    (note,) = again(ask(project, n=3, strategy="active-lab"))
    assert "protocol.raters" in note and "batch.most_raters" in note
    (note,) = again(ask(project, n=3, strategy="active-lab", whole_samples=False, dry_run=True))
    assert "--whole-samples" in note
    assert again(ask(project, n=3, strategy="entropy", dry_run=True)) == []


def test_without_a_model_nothing_is_asked_again(make: Make) -> None:
    project = make()
    fill(project, train=3, valid=0, test=0)
    ask(project, n=3)
    rate(project, ann=plain, bob=plain)
    with pytest.raises(NothingToDo, match="every sample was asked and answered"):
        ask(project, strategy="active-lab")


def test_a_strategy_sees_the_answers_of_each_rater_under_one_number(make: Make) -> None:
    project = make()
    fill(project, train=6, valid=0, test=0)
    ask(project, n=3)
    rate(project, ann=plain, bob=lambda _: "fear")
    covered = sorted(samples_of(project))
    snapshot = read_snapshot(project, Request("uniform", whole=True, n=1), PredictorSource(project, None))
    assert not snapshot.answers
    with reading(project.engine) as session:
        by_key = answers_by_rater(session, project.settings.tasks(), covered)
    answers = {key: tuple(by_rater.items()) for key, by_rater in by_key.items()}
    field = choose_module._Field(replace(snapshot, answers=answers), ())
    aliases = [a.alias for a in project.settings.dimension_list()[0].answers]
    parts = covered[:1], covered[1:]
    for votes, ids in zip(field._votes(*parts), parts, strict=True):
        own = votes["emotion.M"]
        given = {
            (ids[row], rater, aliases[answer])
            for row, rater, answer in zip(own.rows, own.raters, own.answers, strict=True)
        }
        assert given == {(i, 0, plain(i)) for i in ids} | {(i, 1, "fear") for i in ids}


def test_fewer_than_one_answer_is_no_limit(make_project: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project()
    monkeypatch.setenv("ANNOTATE_BATCH__MOST_RATERS", "0")
    with pytest.raises(ConfigError, match="most_raters"):
        Project.open(project.root)
