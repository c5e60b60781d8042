"""Raters are asked about a dimension that was added after they had judged samples on another one."""

# ruff: noqa: F811
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from annotate.errors import NothingToDo
from annotate.labelstudio.client import LabelStudioClient
from annotate.project import Project
from annotate.steps.export import export
from annotate.steps.next_batch import NextBatchReport, next_batch
from annotate.steps.pull import PassReport
from annotate.steps.samples import edit
from annotate.steps.status import status
from annotate.types import Split
from db.engine import reading
from db.labels import read_labels
from db.models import Annotation, LsProject, Question, QuestionState
from tests.journeys.test_dimension_added import with_emotion
from tests.journeys.test_sync import client, delete_ls_project  # noqa: F401 - fixtures
from tests.journeys.test_sync_lost_database import restoring
from tests.support.material import fill
from tests.support.raters import Rater, items, ls_project, pull, whole
from tests.support.studio import LabelStudio

pytestmark = [pytest.mark.studio, pytest.mark.slow]
OPEN, HELD, CLOSED = QuestionState.OPEN, QuestionState.HELD, QuestionState.CLOSED


@pytest.fixture
def rater(label_studio: LabelStudio) -> Rater:
    return Rater(label_studio.url, *label_studio.add_rater())


@pytest.fixture(autouse=True)
def one_rater(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATE_PROTOCOL__RATERS", "1")


class Judged:
    """A project whose samples were judged on sentiment in every pass before emotion was added."""

    def __init__(self, project: Project, label_studio: LabelStudio, rater: Rater) -> None:
        self.label_studio, self.rater = label_studio, rater
        self.project = label_studio.use(project)
        found = fill(self.project, speakers=3, each=1, labelled=())
        self.samples = sorted(i for split in Split for i in found[split])
        for sample_id in self.samples:
            media = self.project.sample_media(sample_id)
            for file in (media.clip, media.audio, media.silent):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"x")
        next_batch(self.project, n=100)
        self.answer("TAV", sentiment="1")
        self.answer("M", sentiment="-1")
        assert {item.state for item in items(self.project).values()} == {CLOSED}
        self.project.engine.dispose()
        self.project = label_studio.use(with_emotion(self.project))
        self.before = self.annotations()

    def answer(self, passes: str, **answers: str) -> None:
        """Answer every open question of these passes, and pull."""
        for (_, modality), item in items(self.project).items():
            if modality in passes and item.state == OPEN:
                self.rater.answer(item, **answers)
        pull(self.project)

    def ask(self, *tasks: str) -> NextBatchReport:
        return next_batch(self.project, n=100, tasks=tasks)

    def questions(self, modality: str) -> list[Question]:
        """The newest question of each sample in a pass."""
        return [item for (_, m), item in items(self.project).items() if m == modality]

    def annotations(self) -> list[tuple[object, ...]]:
        with reading(self.project.engine) as session:
            rows = session.query(Annotation).order_by(Annotation.id)
            return [(r.id, r.sample_id, r.task_id, r.state, r.value, r.batch_item_id) for r in rows]

    def labels(self, task_id: str) -> list[float | str]:
        with reading(self.project.engine) as session:
            return [label.value for label in read_labels(session) if label.task_id == task_id]


@pytest.fixture
def judged(each_project: Project, label_studio: LabelStudio, rater: Rater) -> Iterator[Judged]:
    made = Judged(each_project, label_studio, rater)
    yield made
    made.project.engine.dispose()


@pytest.fixture
def two_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATE_PROTOCOL__PASSES", '["T", "M"]')


@pytest.fixture
def judged_in_two(
    two_passes: None, each_project: Project, label_studio: LabelStudio, rater: Rater
) -> Iterator[Judged]:
    made = Judged(each_project, label_studio, rater)
    yield made
    made.project.engine.dispose()


@pytest.fixture
def judged_here(
    two_passes: None, project: Project, label_studio: LabelStudio, rater: Rater
) -> Iterator[Judged]:
    made = Judged(project, label_studio, rater)
    yield made
    made.project.engine.dispose()


def controls(client: LabelStudioClient, number: int | None) -> list[str]:
    """What a page asks for."""
    shown = client.project(number or 0)
    assert shown is not None
    return [str(tag.get("name")) for tag in ElementTree.fromstring(shown.label_config).iter("Choices")]


def require(project: Project, tasks: Sequence[str]) -> Project:
    section = project.settings.export.model_copy(update={"require": tuple(tasks)})
    return Project(project.root, project.settings.model_copy(update={"export": section}))


def test_a_dimension_that_was_added_is_asked_alone_and_its_answers_join_the_earlier_ones(
    judged: Judged, client: LabelStudioClient, tmp_path: Path
) -> None:
    with pytest.raises(NothingToDo, match="every sample was asked and answered"):
        judged.ask()
    assert "annotate next-batch --tasks emotion.T," in " ".join(status(judged.project).warnings)
    report = judged.ask("emotion.M")
    assert (report.questions, report.held, report.pushed) == ({"M": 3}, 0, 3)
    assert "multimodal pass (emotion): 3" in " ".join(report.notes)
    asked = judged.questions("M")
    assert {(item.dimensions, QuestionState(item.state)) for item in asked} == {("emotion", OPEN)}
    assert controls(client, asked[0].ls_project_id) == ["emotion"]
    with pytest.raises(NothingToDo):
        judged.ask("emotion.M")
    warning = " ".join(status(judged.project).warnings)
    assert "emotion.M for 3 samples" in warning and "--tasks emotion.T,emotion.A,emotion.V`" in warning

    answers = {item.sample_id: judged.rater.answer(item, emotion="sad") for item in asked}
    home = pull(judged.project)
    assert (home.passes["M"], home.closed, home.problems[:-1]) == (PassReport(answers=3), 3, [])
    assert judged.labels("emotion.M") == ["sad"] * 3 and judged.labels("sentiment.M") == [-1.0] * 3
    stored = judged.annotations()
    assert stored[: len(judged.before)] == judged.before
    assert {row[2] for row in stored[len(judged.before) :]} == {"emotion.M"}
    for full in (False, True):
        again = pull(judged.project, full=full)
        assert (again.passes["M"], again.adopted, again.closed) == (PassReport(), 0, 0)
    assert judged.annotations() == stored

    every = [f"sentiment.{m}" for m in "TAVM"] + ["emotion.M"]
    ready = require(judged.project, every)
    assert sum(export(ready, format="jsonl", dest=tmp_path / "out").samples.values()) == 3
    ready.engine.dispose()

    changed, deleted, _ = judged.samples
    judged.rater.edit(answers[changed], emotion="happy")
    judged.rater.delete(answers[deleted])
    assert pull(judged.project).passes["M"] == PassReport(edits=1, deletions=1)
    assert sorted(map(str, judged.labels("emotion.M"))) == ["happy", "sad"]
    assert [judged.labels(f"sentiment.{m}") for m in "TAVM"] == [[1.0] * 3] * 3 + [[-1.0] * 3]
    states = {item.sample_id: item.state for item in judged.questions("M")}
    assert states == {i: OPEN if i == deleted else CLOSED for i in judged.samples}
    with pytest.raises(NothingToDo):
        judged.ask("emotion.M")


def test_parts_are_asked_before_the_whole_and_only_what_is_missing(
    judged_here: Judged, client: LabelStudioClient
) -> None:
    report = judged_here.ask("emotion.T", "sentiment.T", "emotion.M")
    assert (report.questions, report.held) == ({"M": 3, "T": 3}, 3)
    assert "other raters" in " ".join(report.notes)
    assert controls(client, judged_here.questions("T")[0].ls_project_id) == ["emotion"]
    judged_here.rater.delete_task(judged_here.questions("T")[0])
    pull(judged_here.project)
    judged_here.answer("T", emotion="happy")
    waiting = [item for item in judged_here.questions("M") if item.state == HELD]
    assert [item.sample_id for item in waiting] == [judged_here.questions("T")[0].sample_id], (
        "T was taken back"
    )
    assert judged_here.ask("emotion.T").questions == {"T": 1}
    judged_here.answer("T", emotion="sad")
    judged_here.answer("M", emotion="sad")
    assert len(judged_here.labels("emotion.T")) == len(judged_here.labels("emotion.M")) == 3
    with pytest.raises(NothingToDo):
        judged_here.ask("emotion.T", "emotion.M")


def test_a_skipped_dimension_is_not_asked_for_ever(judged_here: Judged) -> None:
    judged_here.ask("emotion.T")
    for item in judged_here.questions("T"):
        judged_here.rater.skip(item)
    assert pull(judged_here.project).passes["T"] == PassReport(skips=3)
    assert judged_here.labels("sentiment.T") == [1.0] * 3
    with pytest.raises(NothingToDo):
        judged_here.ask("emotion.T")


def test_a_database_older_than_the_questions_finds_them_and_asks_nobody_twice(
    judged_in_two: Judged, client: LabelStudioClient
) -> None:
    first, second, third = judged_in_two.samples
    with restoring(judged_in_two.project):
        judged_in_two.ask("emotion.M")
        numbers = {item.sample_id: item for item in judged_in_two.questions("M")}
        judged_in_two.rater.answer(numbers[first], emotion="sad")
        pull(judged_in_two.project)
        judged_in_two.rater.answer(numbers[second], emotion="happy")
    with pytest.raises(NothingToDo):
        judged_in_two.ask("emotion.M")
    home = pull(judged_in_two.project)
    assert home.passes["M"] == PassReport(answers=2)
    assert sorted(map(str, judged_in_two.labels("emotion.M"))) == ["happy", "sad"]
    found = {item.sample_id: (item.dimensions, item.state) for item in judged_in_two.questions("M")}
    assert found == {first: ("emotion", CLOSED), second: ("emotion", CLOSED), third: ("emotion", OPEN)}
    assert judged_in_two.annotations()[: len(judged_in_two.before)] == judged_in_two.before
    with reading(judged_in_two.project.engine) as session:
        rows = session.query(LsProject).filter_by(dimensions="emotion").all()
        assert [row.ls_project_id for row in rows] == [numbers[first].ls_project_id]
    assert len(whole(client, numbers[first].ls_project_id or 0)) == 3


def test_losing_the_project_of_one_form_leaves_the_other_alone(
    judged_here: Judged, label_studio: LabelStudio
) -> None:
    judged_here.ask("emotion.T", "emotion.M")
    judged_here.answer("T", emotion="sad")
    number = judged_here.questions("M")[0].ls_project_id
    delete_ls_project(label_studio, number or 0)
    home = pull(judged_here.project)
    assert home.withdrawn == 3 and "multimodal pass (emotion) was deleted" in home.problems[0]
    assert home.passes["M"] == PassReport() and len(judged_here.labels("sentiment.M")) == 3
    assert judged_here.ask("emotion.M").questions == {"M": 3}
    delete_ls_project(label_studio, ls_project(judged_here.project, judged_here.project.settings.passes[-1]))
    pull(judged_here.project)
    assert {item.state for item in judged_here.questions("M")} == {OPEN}
    judged_here.answer("M", emotion="happy")
    assert judged_here.labels("emotion.M") == ["happy"] * 3


def test_a_corrected_transcript_asks_the_same_dimension_again(
    judged_here: Judged, client: LabelStudioClient
) -> None:
    judged_here.ask("emotion.T")
    sample = judged_here.samples[0]
    assert edit(judged_here.project, sample, transcript="so what").withdrawn == 1
    pull(judged_here.project)
    new = items(judged_here.project)[sample, "T"]
    assert (new.dimensions, QuestionState(new.state), new.transcript) == ("emotion", OPEN, "so what")
    judged_here.answer("T", emotion="sad")
    assert status(judged_here.project).judged_on_other_text == 2, "sentiment, of T and M, on the old words"
