"""A question that is asked again, in a real Label Studio: answers add up, and the whole waits."""

# ruff: noqa: F811
import pytest

from annotate.labelling.push import push_outbox
from annotate.labelstudio.client import LabelStudioClient
from annotate.project import Project
from annotate.types import Modality
from db.batches import candidates
from db.engine import reading, writing
from db.models import Batch, Question, QuestionState
from tests.journeys.test_sync import Asked, asked, client, label, only, raters  # noqa: F401 - fixtures
from tests.support.raters import Rater, ask, items, pull, with_raters

pytestmark = [pytest.mark.studio, pytest.mark.slow]
T, A, V, M = Modality
OPEN, HELD, CLOSED = QuestionState.OPEN, QuestionState.HELD, QuestionState.CLOSED


def states(project: Project, modality: Modality) -> list[int]:
    with reading(project.engine) as session:
        questions = session.query(Question).filter_by(modality=modality).order_by(Question.id)
        return [item.state for item in questions]


def may_be_asked_again(project: Project) -> list[Modality]:
    with reading(project.engine) as session:
        return [m for c in candidates(session, project.settings.passes, 5) for m in c.again]


def test_answers_to_a_question_that_is_asked_again_add_up_and_the_whole_waits(
    asked: Asked,
    each_project: Project,
    raters: list[Rater],
    client: LabelStudioClient,
) -> None:
    project = asked(each_project, passes=(T, V, M), raters=1)
    sample = only(project).sample_id
    ann, bob = raters
    first = ann.answer(only(project), sentiment="0")
    assert pull(project).closed == 1
    assert may_be_asked_again(project) == [T]
    again = with_raters(project, 1, (T,))
    ask(again, [sample])
    assert push_outbox(again, client).pushed == 1
    assert states(project, T) == [CLOSED, OPEN] and states(project, M) == [HELD]
    ann.answer(items(project)[sample, V], sentiment="1")
    report = pull(project)
    assert (report.closed, report.released) == (1, 0)
    assert label(project) == (0.0, {"0": 1.0}, 1)
    second = only(project)
    bob.answer(second, sentiment="1")
    report = pull(project)
    assert (report.closed, report.released, report.pushed) == (1, 1, 1)
    assert states(project, T) == [CLOSED, CLOSED] and states(project, M) == [OPEN]
    assert label(project) == (0.5, {"0": 0.5, "1": 0.5}, 2)
    assert may_be_asked_again(project) == []
    # The first answer can still be corrected, and taken back; each question is open for its own people.
    ann.edit(first, sentiment="1")
    pull(project)
    assert label(project) == (1.0, {"1": 1.0}, 2)
    ann.delete(first)
    pull(project)
    assert label(project) == (1.0, {"1": 1.0}, 1)
    assert states(project, T) == [OPEN, CLOSED]
    full = pull(project, full=True)
    assert sum(p.answers + p.edits + p.deletions for p in full.passes.values()) == 0


def test_who_answers_twice_has_one_voice(
    asked: Asked,
    project: Project,
    raters: list[Rater],
    client: LabelStudioClient,
) -> None:
    asking = asked(project, passes=(T,), raters=1)
    raters[0].answer(only(asking), sentiment="0")
    pull(asking)
    ask(asking, [only(asking).sample_id])
    push_outbox(asking, client)
    raters[0].answer(only(asking), sentiment="1")
    assert pull(asking).closed == 1
    assert label(asking) == (1.0, {"1": 1.0}, 1)
    with writing(asking.engine) as session:
        assert session.query(Batch).count() == 2
