"""What worker processes promise beyond the contract of executors: how one ended is told to the letter."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from annotate.executors.process import ProcessExecutor
from annotate.types import Failed, Failure
from tests.support.processes import PATIENCE, is_running, until

ROOT = Path(__file__).parents[3]


def work(unit: Any) -> Any:
    """Does what the unit says."""
    match unit:
        case ("exit", code):
            os._exit(code)
        case ("signal", number):
            os.kill(os.getpid(), number)
        case "hang":
            time.sleep(600)
        case "pid":
            return os.getpid()
    return unit


@pytest.mark.parametrize(
    ("poison", "words"),
    [
        (("exit", 3), "exit code 3"),
        (("exit", 0), "exit code 0"),
        (("signal", signal.SIGKILL), "SIGKILL"),
        (("signal", signal.SIGSEGV), "SIGSEGV"),
    ],
)
def test_how_a_worker_ended_is_told(poison: Any, words: str) -> None:
    made = ProcessExecutor().run(work, [1, poison], workers=1, deadline_seconds=PATIENCE, window=2)
    (failed,) = [outcome for outcome in made if isinstance(outcome, Failed)]
    assert failed.kind is Failure.DIED and words in failed.message


DRIVER = """
import sys
from annotate.executors.process import ProcessExecutor
from annotate.types import Finished
from tests.unit.executors.test_executor import work
if __name__ == "__main__":
    for outcome in ProcessExecutor().run(work, ["pid", "hang"], workers=1, deadline_seconds=600, window=2):
        if isinstance(outcome, Finished):
            print(outcome.value, flush=True)
"""


def test_workers_die_with_a_driver_that_is_asked_to_end(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert driver.stdout is not None
    worker = int(driver.stdout.readline())
    driver.terminate()
    driver.communicate(timeout=PATIENCE)
    assert driver.returncode == -signal.SIGTERM
    assert until(lambda: not is_running(worker))
