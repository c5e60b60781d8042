"""Answers that cannot be used are recorded once each, however many were recorded before."""

from annotate.project import Project
from db import models
from db.annotations import AnnotationLog
from db.engine import reading, writing


def note(project: Project, number: int) -> bool:
    with writing(project.engine) as session:
        return AnnotationLog(session, []).note_unusable(
            {"origin": f"ls#{number}", "problem": "sad and happy"}
        )


def instructions_to_note(project: Project, number: int) -> int:
    """How many instructions SQLite's machine executes: a measure of work that no load changes."""
    count = 0

    def one_more() -> None:
        nonlocal count
        count += 1

    with writing(project.engine) as session:
        connection = session.connection().connection.driver_connection
        assert connection is not None
        connection.set_progress_handler(one_more, 1)
        AnnotationLog(session, []).note_unusable({"origin": f"ls#{number}", "problem": "sad and happy"})
        connection.set_progress_handler(None, 1)
    return count


def test_an_unusable_answer_is_reported_once(each_project: Project) -> None:
    assert [note(each_project, number) for number in (1, 2, 1, 2, 3)] == [True, True, False, False, True]
    with reading(each_project.engine) as session:
        assert session.query(models.Event).filter_by(kind="unusable-answer").count() == 3


def test_noting_an_answer_costs_the_same_after_two_thousand_others(project: Project) -> None:
    few = instructions_to_note(project, 0)
    with writing(project.engine) as session:
        log = AnnotationLog(session, [])
        for number in range(1, 2000):
            log.note_unusable({"origin": f"ls#{number}", "problem": "sad and happy"})
    assert instructions_to_note(project, 2000) < 3 * few
