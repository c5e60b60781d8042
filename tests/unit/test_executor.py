"""Workers may hang, crash and be killed: every unit has exactly one outcome, and the others go on."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annotate.executors._alive import alive
from annotate.executors.process import ProcessExecutor
from annotate.types import Failed, Failure, Finished, Working

ROOT = Path(__file__).parent.parent.parent


def work(unit: Any) -> Any:
    """Does what the unit says."""
    match unit:
        case ("exit", code):
            os._exit(code)
        case ("signal", number):
            os.kill(os.getpid(), number)
        case "hang":
            time.sleep(600)
        case "slow":
            for _ in range(30):
                time.sleep(0.1)
                alive()
        case "child":
            # Whatever a unit starts has to go with it.
            return subprocess.run(["sleep", "613.7"], check=False)
        case "raise":
            raise ValueError("bad luck")
        case "lambda":
            return lambda: None
        case "threads":
            return os.environ["OMP_NUM_THREADS"]
        case "pid":
            return os.getpid()
    return unit


def run(units: Any, **options: Any) -> list[Any]:
    settings = {"workers": 2, "deadline_seconds": 30, "window": 4} | options
    told = ProcessExecutor().run(work, units, **settings)
    return [outcome for outcome in told if not isinstance(outcome, Working)]


def test_no_units_start_no_worker() -> None:
    assert run([]) == []


@pytest.mark.parametrize(
    ("poison", "kind", "words"),
    [
        (("exit", 3), Failure.DIED, "exit code 3"),
        (("exit", 0), Failure.DIED, "exit code 0"),
        (("signal", signal.SIGKILL), Failure.DIED, "SIGKILL"),
        (("signal", signal.SIGSEGV), Failure.DIED, "SIGSEGV"),
        ("raise", Failure.ERROR, "bad luck"),
        ("lambda", Failure.ERROR, "lambda"),
    ],
)
def test_one_bad_unit_fails_alone(poison: Any, kind: Failure, words: str) -> None:
    outcomes = run([1, poison, 2, 3])
    assert sorted(o.value for o in outcomes if isinstance(o, Finished)) == [1, 2, 3]
    (failed,) = [o for o in outcomes if isinstance(o, Failed)]
    assert (failed.unit, failed.kind) == (poison, kind)
    assert words in failed.message


def test_a_unit_that_hangs_is_killed_at_its_deadline_with_what_it_started() -> None:
    began = time.monotonic()
    outcomes = run(["hang", "child", 1, 2], deadline_seconds=1)
    assert time.monotonic() - began < 20
    assert sorted(o.unit for o in outcomes if isinstance(o, Failed)) == ["child", "hang"]
    assert {o.kind for o in outcomes if isinstance(o, Failed)} == {Failure.TIMEOUT}
    assert _within(5, lambda: not _runs("613.7"))


def test_a_unit_that_takes_long_but_gets_on_is_left_alone() -> None:
    assert run(["slow"], deadline_seconds=1.5) == [Finished("slow", "slow")]


def test_workers_use_one_thread_and_leave_our_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert run(["threads"])[0].value == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"


DRIVER = """
import sys
from annotate.executors.process import ProcessExecutor
from annotate.types import Finished
from tests.unit.test_executor import work
if __name__ == "__main__":
    for outcome in ProcessExecutor().run(work, ["pid", "hang"], workers=1, deadline_seconds=60, window=2):
        if isinstance(outcome, Finished):
            print(outcome.value, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_die_with_their_driver(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert driver.stdout is not None
    worker = int(driver.stdout.readline())
    driver.send_signal(number)
    driver.communicate(timeout=10)
    assert driver.returncode == -number
    assert _within(5, lambda: not _alive(worker))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _runs(argument: str) -> bool:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if argument.encode() in process.read_bytes().split(b"\0"):
                return True
    return False


def _within(seconds: float, true: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return true()
