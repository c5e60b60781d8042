"""What every executor promises: no unit is lost, none holds up the others, and nothing stays behind."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from annotate.errors import AnnotateError, UsageError
from annotate.executors.heartbeat import send_heartbeat
from annotate.ingest import run as run_step
from annotate.protocols import Executor
from annotate.registry import EXECUTORS
from annotate.steps.ingest import ingest
from annotate.types import Failed, Failure, Finished, Working
from db import models
from db.engine import reading
from tests.conftest import MakeProject
from tests.journeys.test_ingest import make, stand_in
from tests.support.processes import PATIENCE, is_running, until

ROOT = Path(__file__).parent.parent.parent


def work(unit: Any) -> Any:
    """Does what the unit says; a number is digested."""
    match unit:
        case ("exit", code):
            os._exit(code)
        case ("signal", number):
            os.kill(os.getpid(), number)
        case ("hang", note):
            Path(note).write_text(str(os.getpid()))
            time.sleep(600)
        case ("child", note):
            # Whatever a unit starts has to go with it.
            child = subprocess.Popen(["sleep", "600"])
            Path(note).write_text(str(child.pid))
            return child.wait()
        case "gets on":
            # Longer than its deadline, with a hundred heartbeats in the time of one.
            for step in range(110):
                time.sleep(0.1)
                send_heartbeat(step, 110)
        case "raise":
            raise ValueError("bad luck")
        case "lock":
            import threading

            return threading.Lock()
        case "threads":
            return os.environ["OMP_NUM_THREADS"]
        case int():
            return hashlib.sha256(str(unit).encode()).hexdigest()
    return unit


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=pytest.mark.slow) if n == "ray" else n for n in EXECUTORS.names()],
)
def place(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Each executor, opened once: a cluster takes seconds to start."""
    with pytest.MonkeyPatch.context() as patch, EXECUTORS.get(request.param)(address="") as executor:
        patch.setenv("PYTHONPATH", str(ROOT))
        yield executor


def told(place: Executor, units: Any, **options: Any) -> list[Any]:
    settings = {"workers": 2, "deadline_seconds": PATIENCE, "window": 4} | options
    return list(place.run(work, units, **settings))


def outcomes(place: Executor, units: Any, **options: Any) -> list[Any]:
    return [outcome for outcome in told(place, units, **options) if not isinstance(outcome, Working)]


def test_no_units_give_no_outcomes(place: Executor) -> None:
    assert told(place, []) == []


def test_it_has_room_for_one_unit_at_least(place: Executor) -> None:
    assert place.slots() >= 1


def test_the_outcomes_are_those_of_a_plain_loop(place: Executor) -> None:
    made = {o.unit: o.value for o in outcomes(place, range(40))}
    assert made == {number: work(number) for number in range(40)}


@pytest.mark.parametrize(
    ("poison", "kind", "words"),
    [
        (("exit", 3), Failure.DIED, "process"),
        (("exit", 0), Failure.DIED, "process"),
        (("signal", signal.SIGKILL), Failure.DIED, "process"),
        (("signal", signal.SIGSEGV), Failure.DIED, "process"),
        ("raise", Failure.ERROR, "bad luck"),
        ("lock", Failure.ERROR, "lock"),
    ],
)
def test_one_bad_unit_fails_alone(place: Executor, poison: Any, kind: Failure, words: str) -> None:
    made = outcomes(place, [1, poison, 2, 3])
    assert sorted(o.unit for o in made if isinstance(o, Finished)) == [1, 2, 3]
    (failed,) = [o for o in made if isinstance(o, Failed)]
    assert (failed.unit, failed.kind) == (poison, kind)
    assert words in failed.message


def test_a_unit_that_always_kills_its_worker_does_not_stop_the_others(place: Executor) -> None:
    poison = ("signal", signal.SIGKILL)
    made = outcomes(place, [poison, 1, poison, 2, poison, 3])
    assert sorted(o.unit for o in made if isinstance(o, Finished)) == [1, 2, 3]
    assert [o.kind for o in made if isinstance(o, Failed)] == [Failure.DIED] * 3


def test_a_unit_that_hangs_is_killed_at_its_deadline_with_what_it_started(
    place: Executor, tmp_path: Path
) -> None:
    hang, child = ("hang", str(tmp_path / "hang")), ("child", str(tmp_path / "child"))
    made = outcomes(place, [hang, child, 1, 2], deadline_seconds=5)
    assert {(o.unit, o.kind) for o in made if isinstance(o, Failed)} == {
        (hang, Failure.TIMEOUT),
        (child, Failure.TIMEOUT),
    }
    assert sorted(o.unit for o in made if isinstance(o, Finished)) == [1, 2]
    for note in (hang[1], child[1]):
        assert until(lambda note=note: not is_running(int(Path(note).read_text())))


def test_a_unit_that_takes_long_but_gets_on_is_left_alone_and_tells_how_far_it_is(place: Executor) -> None:
    *signs, last = told(place, ["gets on"], deadline_seconds=10)
    assert last == Finished("gets on", "gets on")
    assert {sign.unit for sign in signs} == {"gets on"}
    assert 0 < signs[-1].heartbeat.done_us < signs[-1].heartbeat.of_us == 110


def test_units_are_drawn_only_a_window_ahead_and_each_has_one_outcome(place: Executor) -> None:
    drawn, furthest = 0, 0

    def units() -> Iterator[int]:
        nonlocal drawn
        for number in range(60):
            drawn += 1
            yield number

    seen: list[int] = []
    for outcome in place.run(work, units(), workers=2, deadline_seconds=PATIENCE, window=4):
        if not isinstance(outcome, Working):
            furthest = max(furthest, drawn - len(seen))
            seen.append(outcome.unit)
    assert sorted(seen) == list(range(60))
    assert furthest <= 4 + 2 + 1


def test_closing_the_iterator_ends_what_runs(place: Executor, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    running = place.run(work, [("hang", str(note)), 1], workers=2, deadline_seconds=PATIENCE, window=4)
    next(running)  # the short one; waiting for the second would take the whole deadline
    assert until(lambda: note.exists() and bool(note.read_text()))
    running.close()  # type: ignore[attr-defined]
    assert until(lambda: not is_running(int(note.read_text())))
    assert len(outcomes(place, [1, 2])) == 2


def test_workers_use_one_thread_and_leave_our_environment_alone(
    place: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert outcomes(place, ["threads"])[0].value == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"


DRIVER = """
import sys
from annotate.registry import EXECUTORS
from tests.contracts.test_executor_contract import work
if __name__ == "__main__":
    name, note = sys.argv[1:]
    with EXECUTORS.get(name)(address="") as place:
        for _ in place.run(work, [("hang", note)], workers=1, deadline_seconds=600, window=2):
            pass
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "ray" else n for n in EXECUTORS.names()]
)
def test_no_worker_is_left_when_the_driver_goes(tmp_path: Path, name: str, number: signal.Signals) -> None:
    script, note = tmp_path / "driver.py", tmp_path / "pid"
    script.write_text(DRIVER)
    driver = subprocess.Popen(
        [sys.executable, script, name, note], stderr=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert until(lambda: note.exists() and note.read_text() != "")
    worker = int(note.read_text())
    assert is_running(worker)
    driver.send_signal(number)
    driver.communicate(timeout=PATIENCE)
    assert driver.returncode != 0
    assert until(lambda: not is_running(worker))
    if number is not signal.SIGKILL:
        # Of a driver that had no time to end them, Ray's own agents find out within a minute.
        assert until(lambda: not _session(driver.pid))


def _session(leader: int) -> list[str]:
    """The processes of a session that still run."""
    found = subprocess.run(["ps", "-o", "stat=,args=", "-s", str(leader)], capture_output=True, text=True)
    return [line for line in found.stdout.splitlines() if not line.startswith("Z")]


# ---- what ingest makes of outcomes ------------------------------------------------------------------


class _Twisted:
    """A place that tells outcomes in reverse, and each one twice."""

    def __init__(self, *, address: str = "") -> None:
        self._inner = EXECUTORS.get("process")(address=address)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def slots(self) -> int:
        return 2

    def run(self, *args: Any, **options: Any) -> Iterator[Any]:
        made = list(self._inner.run(*args, **options))
        for outcome in reversed(made):
            yield outcome
            yield outcome


@pytest.fixture
def project_of(make_project: MakeProject, tmp_path: Path) -> Callable[..., Any]:
    """What ingest commits of some stand-ins for videos, with a given executor: all rows, times aside."""
    folder = tmp_path / "videos"
    folder.mkdir()
    make(folder, a="speech 2", b="speech 3", c="crash-once 1", d="crash", e="silent", f="broken")

    def ingested(executor: str) -> dict[str, list[str]]:
        project = make_project(name=executor).overruled("ingest", executor=executor)
        ingest(project, [folder], workers=2)
        tables = (models.Video, models.VideoFile, models.Sample, models.SampleCheck, models.WorkAttempt)
        return {model.__tablename__: _rows(project, model) for model in tables}

    return ingested


def _rows(project: Any, model: Any) -> list[str]:
    columns = [column.key for column in model.__table__.columns]
    with reading(project.engine) as session:
        return sorted(str([getattr(row, c) for c in columns]) for row in session.scalars(select(model)))


def _without_words(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """Executors say in other words how a process ended."""
    return {
        table: [re.sub(r"its process [^(]*(\(SIG\w+\) )?", "", row) for row in of]
        for table, of in rows.items()
    }


def test_outcomes_told_twice_and_in_reverse_give_the_same_rows(
    monkeypatch: pytest.MonkeyPatch, project_of: Callable[..., Any]
) -> None:
    monkeypatch.setattr(run_step, "cut", stand_in)
    monkeypatch.setitem(EXECUTORS._classes, "twisted", _Twisted)
    plain, twisted = project_of("process"), project_of("twisted")
    assert len(plain["sample"]) == 6
    assert len(plain["video"]) == 6
    assert twisted == plain


@pytest.mark.slow
def test_a_cluster_gives_the_same_rows_as_this_machine(
    monkeypatch: pytest.MonkeyPatch, project_of: Callable[..., Any]
) -> None:
    monkeypatch.setattr(run_step, "cut", stand_in)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert _without_words(project_of("ray")) == _without_words(project_of("process"))


def test_without_the_package_of_a_cluster_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotate.executors.ray.find_spec", lambda name: None)
    with pytest.raises(AnnotateError, match="needs the package ray") as caught:
        EXECUTORS.get("ray")(address="")
    assert "annotate-clips[ray]" in caught.value.hint


def test_an_address_means_nothing_to_this_machine() -> None:
    with pytest.raises(UsageError, match="has no address"):
        EXECUTORS.get("process")(address="10.0.0.1:6379")
