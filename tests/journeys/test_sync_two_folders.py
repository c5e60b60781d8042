"""Two folders that share one Postgres: what they do at the same time is done one after the other."""

# ruff: noqa: F811
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from annotate.errors import ProjectBusy
from annotate.labelling.push import push_outbox
from annotate.labelstudio.client import LabelStudioClient
from annotate.project import Project
from annotate.steps.init import init
from annotate.steps.pull import PassReport, PullReport, pull
from db import outbox
from db.engine import reading
from db.models import Annotation
from tests.journeys.test_sync import client, raters  # noqa: F401 - fixtures
from tests.support.processes import PATIENCE
from tests.support.raters import TEXT_ONLY, Rater, add_samples, ask, items, label_problems, with_raters
from tests.support.studio import LabelStudio

pytestmark = [pytest.mark.studio, pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture
def folders(
    label_studio: LabelStudio, make_project: Callable[..., Project], postgres_url: str, tmp_path: Path
) -> list[Project]:
    first = make_project(database=postgres_url)
    init(tmp_path / "second", preset="ch-sims", database=postgres_url)
    opened = [first, Project.open(tmp_path / "second")]
    yield [with_raters(label_studio.use(project), 2, TEXT_ONLY) for project in opened]
    opened[1].engine.dispose()


def test_two_pulls_at_once_store_each_answer_once_and_none_fails(
    folders: list[Project], raters: list[Rater], client: LabelStudioClient
) -> None:
    ask(folders[0], add_samples(folders[0], 10))
    push_outbox(folders[0], client)
    for item in items(folders[0]).values():
        for rater in raters:
            rater.answer(item, sentiment="1")
    reports: list[PullReport] = []
    start = threading.Barrier(2)

    def pull_at_once(project: Project) -> None:
        start.wait(PATIENCE)
        reports.append(pull(project))

    threads = [threading.Thread(target=pull_at_once, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((r.passes["T"] for r in reports), key=lambda p: p.answers) == [
        PassReport(), PassReport(answers=20),
    ]  # fmt: skip
    with reading(folders[0].engine) as session:
        assert session.query(Annotation).count() == 20
    assert label_problems(folders[0]) == []


def test_who_waits_too_long_is_told_and_nothing_is_written(
    folders: list[Project], client: LabelStudioClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(folders[0], add_samples(folders[0], 1))
    push_outbox(folders[0], client)
    patient = outbox.sole_labeller
    monkeypatch.setattr(outbox, "sole_labeller", lambda engine: patient(engine, wait_seconds=0.3))
    with patient(folders[0].engine), pytest.raises(ProjectBusy, match="annotate pull") as busy:
        pull(folders[1])
    assert busy.value.hint and busy.value.exit_code == 1
    assert pull(folders[1]).passes["T"] == PassReport()
