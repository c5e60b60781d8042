"""Whatever breaks between us and Label Studio: a clear error, nothing lost, nothing doubled."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from annotate.errors import LabelStudioError
from annotate.labelling import push as _push
from annotate.labelling.push import push_outbox
from annotate.labelstudio.client import LabelStudioClient
from annotate.project import Project
from db.engine import reading
from db.models import Annotation, QuestionState
from tests.conftest import ROOT
from tests.support.fault_proxy import FORWARDED, Fault, Proxy, everything, fault_proxy, imports
from tests.support.processes import PATIENCE
from tests.support.raters import TEXT_ONLY, Rater, add_samples, ask, items, ls_project, pull, with_raters
from tests.support.studio import LabelStudio

pytestmark = [pytest.mark.studio, pytest.mark.slow]
HASTY = 5.0
"""Seconds that the client waits: less than a late answer takes, more than others take on a busy machine."""
WORDS = {
    Fault.ERROR_500: "failed",
    Fault.TOO_MANY_429: "failed",
    Fault.REFUSED_401: "refuses the token",
    Fault.LATE: "did not answer",
    Fault.DROPPED: "closed the connection",
    Fault.TRUNCATED: "closed the connection",
    Fault.HALF_JSON: "unexpected answer",
    Fault.HTML: "unexpected answer",
    Fault.OTHER_JSON: "unexpected answer",
}


@pytest.fixture
def proxy(label_studio: LabelStudio) -> Iterator[Proxy]:
    with fault_proxy(label_studio.url) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy, label_studio: LabelStudio) -> Iterator[LabelStudioClient]:
    client = LabelStudioClient(proxy.url, label_studio.token, HASTY)
    yield client
    client.close()


@pytest.fixture
def queued(project: Project, label_studio: LabelStudio) -> Project:
    project = with_raters(label_studio.use(project), 1, TEXT_ONLY)
    ask(project, add_samples(project, 5))
    return project


@pytest.fixture
def straight(label_studio: LabelStudio) -> Iterator[LabelStudioClient]:
    client = LabelStudioClient(label_studio.url, label_studio.token, 60)
    yield client
    client.close()


def each_once(project: Project, straight: LabelStudioClient) -> bool:
    keys = Counter(task.key for task in straight.tasks(ls_project(project)))
    return keys == {item.key: 1 for item in items(project).values()}


def states(project: Project) -> set[int]:
    return {item.state for item in items(project).values()}


@pytest.mark.parametrize("fault", list(Fault))
def test_an_import_that_breaks_once_is_finished_without_doubles(
    fault: Fault, queued: Project, proxy: Proxy, client: LabelStudioClient, straight: LabelStudioClient
) -> None:
    proxy.break_next(fault, imports)
    if fault is Fault.REFUSED_401:
        with pytest.raises(LabelStudioError, match="refuses the token"):
            push_outbox(queued, client)
        assert states(queued) == {QuestionState.QUEUED}
    report = push_outbox(queued, client)
    assert report.pushed == 5 and report.already_there == (5 if fault in FORWARDED else 0)
    assert states(queued) == {QuestionState.OPEN}
    assert each_once(queued, straight)


@pytest.mark.parametrize("fault", list(Fault))
def test_an_import_that_keeps_breaking_is_told_and_the_next_push_ends_it(
    fault: Fault, queued: Project, proxy: Proxy, client: LabelStudioClient, straight: LabelStudioClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(_push, "PAUSES", (0.0,))
    proxy.break_next(fault, imports)
    with pytest.raises(LabelStudioError, match=WORDS[fault]) as told:
        push_outbox(queued, client)
    assert told.value.hint
    assert "secret" not in str(told.value) and straight._token not in str(told.value)
    assert states(queued) == {QuestionState.QUEUED}
    assert push_outbox(queued, client).pushed == 5
    assert each_once(queued, straight)


@pytest.mark.parametrize("fault", [Fault.LATE, Fault.DROPPED, Fault.OTHER_JSON])
def test_a_project_whose_making_broke_off_is_not_made_twice(
    fault: Fault, queued: Project, proxy: Proxy, client: LabelStudioClient, straight: LabelStudioClient
) -> None:
    proxy.break_next(fault, lambda method, path: method == "POST" and path.startswith("/api/projects"))
    with pytest.raises(LabelStudioError):
        push_outbox(queued, client)
    push_outbox(queued, client)
    made = straight._get("/api/projects/", "", lambda found: found["results"], page_size=1000)
    marker = next(p["description"] for p in made if p["id"] == ls_project(queued))
    assert [p["description"] for p in made].count(marker) == 1
    assert each_once(queued, straight)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_pull_that_breaks_changes_nothing_and_the_next_one_brings_all(
    fault: Fault, queued: Project, proxy: Proxy, label_studio: LabelStudio, straight: LabelStudioClient
) -> None:
    push_outbox(queued, straight)
    rater = Rater(label_studio.url, "", label_studio.token)
    for item in items(queued).values():
        rater.answer(item, sentiment="0")
    through = dataclasses.replace(label_studio, url=proxy.url).use(queued)
    hasty = through.settings.labelstudio.model_copy(update={"timeout_seconds": HASTY})
    through = dataclasses.replace(
        through, settings=through.settings.model_copy(update={"labelstudio": hasty})
    )
    through.__dict__["engine"] = queued.engine
    proxy.break_next(fault, lambda method, path: path.startswith("/api/tasks"))
    with pytest.raises(LabelStudioError) as told:
        pull(through)
    assert told.value.hint and "secret" not in str(told.value)
    assert stored(queued) == 0
    assert pull(through).passes["T"].answers == 5
    assert stored(queued) == 5


def stored(project: Project) -> int:
    with reading(project.engine) as session:
        return session.query(Annotation).count()


def test_a_server_that_is_down_is_told_and_keeps_the_questions_queued(queued: Project) -> None:
    with pytest.raises(LabelStudioError, match="no Label Studio answers") as told:
        push_outbox(queued, LabelStudioClient("http://127.0.0.1:9", "0" * 40, HASTY))
    assert told.value.hint
    assert states(queued) == {QuestionState.QUEUED}


def test_every_call_through_a_server_that_refuses_fails_without_the_token(
    proxy: Proxy, client: LabelStudioClient, label_studio: LabelStudio
) -> None:
    proxy.break_next(Fault.REFUSED_401, everything, times=10)
    for call in (client.emails, lambda: client.tasks(1), lambda: client.set_model_version(1)):
        with pytest.raises(LabelStudioError, match="refuses the token") as told:
            call()
        assert label_studio.token not in str(told.value) + told.value.hint


PUSH = """
import sys
from pathlib import Path
from annotate.labelstudio.client import LabelStudioClient
from annotate.project import Project
from annotate.labelling.push import push_outbox
project = Project.open(Path(sys.argv[1]))
with project.writing():
    push_outbox(project, LabelStudioClient(sys.argv[2], sys.argv[3], 60))
"""


@pytest.mark.parametrize("fault", [Fault.LATE, Fault.ERROR_500])
def test_a_push_killed_in_the_middle_is_finished_by_the_next_one(
    fault: Fault, queued: Project, proxy: Proxy, label_studio: LabelStudio, straight: LabelStudioClient
) -> None:
    proxy.break_next(fault, imports)
    command = [sys.executable, "-c", PUSH, str(queued.root), proxy.url, label_studio.token]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert proxy.reached.wait(PATIENCE)
    process.send_signal(signal.SIGKILL)
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert states(queued) == {QuestionState.QUEUED}
    with queued.writing():
        assert push_outbox(queued, straight).pushed == 5
    assert each_once(queued, straight)
