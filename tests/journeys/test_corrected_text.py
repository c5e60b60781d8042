"""A corrected transcript reaches raters: every answer belongs to one text, and exports say to which."""

import json
from pathlib import Path

from sqlalchemy import update

from annotate.project import Project
from annotate.steps.export import export
from annotate.steps.pull import pull
from annotate.steps.samples import edit
from annotate.steps.samples_show import show_sample
from annotate.steps.status import status
from annotate.types import Modality
from db import models, reask
from db.engine import reading, writing
from db.models import Question, QuestionState
from tests.support.raters import Rater, add_samples, ask, items, with_raters
from tests.support.studio import LabelStudio


def set_state(
    project: Project, sample_id: str, modality: str, state: QuestionState, text: str | None
) -> None:
    with writing(project.engine) as session:
        session.execute(
            update(Question)
            .where(Question.sample_id == sample_id, Question.modality == modality)
            .values(state=state, transcript=text)
        )


def questions(project: Project) -> list[tuple[str, str, str]]:
    """(pass, state, role) of every question, oldest first."""
    with reading(project.engine) as session:
        rows = session.query(Question).order_by(Question.id).all()
        return [(row.modality, QuestionState(row.state).name, row.role) for row in rows]


def test_open_questions_with_an_earlier_text_are_asked_again_and_others_stay(each_project: Project) -> None:
    (sample_id,) = add_samples(each_project, 1)
    ask(each_project, [sample_id])
    for modality, text in (("T", "words 0"), ("A", None), ("V", None)):
        set_state(each_project, sample_id, modality, QuestionState.OPEN, text)
    report = edit(each_project, sample_id, transcript="so what")
    assert (report.withdrawn, report.asked_again) == (1, 1)
    assert questions(each_project) == [
        ("T", "WITHDRAWN", "active"), ("A", "OPEN", "active"), ("V", "OPEN", "active"),
        ("M", "HELD", "active"), ("T", "QUEUED", "active"),
    ]  # fmt: skip
    assert len({item.key for item in items(each_project).values()}) == 4
    edit(each_project, sample_id, transcript="so what then")
    assert len(questions(each_project)) == 5, "what waits to be sent carries the new text"


def test_a_whole_question_waits_for_the_words_again(each_project: Project) -> None:
    (sample_id,) = add_samples(each_project, 1)
    ask(each_project, [sample_id])
    for modality in "TAV":
        set_state(
            each_project, sample_id, modality, QuestionState.CLOSED, "words 0" if modality == "T" else None
        )
    set_state(each_project, sample_id, "M", QuestionState.OPEN, "words 0")
    edit(each_project, sample_id, transcript="so what")
    assert questions(each_project)[-1] == ("M", "QUEUED", "active")
    assert "1 finished question was judged" in status(each_project).warnings[-1]


def test_without_words_there_is_no_question_about_them(each_project: Project) -> None:
    (sample_id,) = add_samples(each_project, 1)
    ask(each_project, [sample_id])
    edit(each_project, sample_id, transcript="")
    assert questions(each_project)[0][:2] == ("T", "WITHDRAWN")
    assert len(questions(each_project)) == 4


def test_finished_questions_are_reported_until_they_are_asked_again(each_project: Project) -> None:
    (sample_id,) = add_samples(each_project, 1)
    ask(each_project, [sample_id])
    set_state(each_project, sample_id, "T", QuestionState.CLOSED, "words 0")
    report = edit(each_project, sample_id, transcript="so what")
    assert "1 finished question was judged on the earlier transcript" in " ".join(report.warnings)
    assert status(each_project).judged_on_other_text == 1
    asked = show_sample(each_project, sample_id).questions
    assert [q["judged_text"] for q in asked if q["pass"] == "T"] == ["words 0"]
    edit(each_project, sample_id, transcript="words 0")
    assert status(each_project).judged_on_other_text == 0


def test_raters_see_the_new_text_and_exports_say_which_was_judged(
    project: Project, label_studio: LabelStudio, tmp_path: Path
) -> None:
    project = with_raters(label_studio.use(project), 2, [Modality.TEXT])
    (sample_id,) = add_samples(project, 1)
    ask(project, [sample_id])
    pull(project)
    one, two = (Rater(label_studio.url, *label_studio.add_rater()) for _ in range(2))
    old = items(project)[sample_id, "T"]
    one.answer(old, sentiment="1")
    report = edit(project, sample_id, transcript="so what")
    assert (report.withdrawn, report.asked_again, report.warnings) == (1, 1, [])
    home = pull(project)
    assert (home.passes["T"].answers, home.pushed) == (1, 1)
    new = items(project)[sample_id, "T"]
    shown = two._call("GET", f"/api/projects/{new.ls_project_id}/next")
    assert (shown["id"], shown["data"]["text"]) == (new.ls_task_id, "so what")
    two.answer(new, sentiment="-1")
    one.answer(new, sentiment="-1")
    edit(project, sample_id, transcript="so what?")
    assert pull(project).passes["T"].answers == 2
    export(project, format="jsonl", dest=tmp_path / "lines")
    (line,) = (tmp_path / "lines" / "train.jsonl").read_text().splitlines()
    said = json.loads(line)
    assert (said["text"], said["judged_text"]) == ("so what?", {"T": ["so what"]})
    assert "1 sample was judged" in (tmp_path / "lines" / "README.md").read_text()


def test_what_an_earlier_version_sent_is_read_from_label_studio(
    project: Project, label_studio: LabelStudio
) -> None:
    project = with_raters(label_studio.use(project), 1, [Modality.TEXT])
    (sample_id,) = add_samples(project, 1)
    ask(project, [sample_id])
    pull(project)
    with writing(project.engine) as session:
        session.execute(update(Question).values(transcript=None))
        session.get_one(models.Sample, sample_id).transcript = "so what"
    home = pull(project)
    assert (home.asked_again, home.pushed) == (1, 1)
    with reading(project.engine) as session:
        assert reask.judged_texts(session) == {}
        texts = [row.transcript for row in session.query(Question).order_by(Question.id)]
    assert texts == ["words 0", "so what"]
