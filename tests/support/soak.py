"""Long tests that `make soak` runs: those marked `soak`, and every property test with many more cases.

`pytest --soak` runs them and nothing else, each until it has passed once for this code; without it those
marked `soak` are left out, and property tests draw few cases. It ends after `ANNOTATE_TEST_SOAK_MINUTES` (90)
and goes on where it stopped when it is called again: which tests passed is noted in `.soak/`, in a file for
each state of the code.
"""

import hashlib
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

ROOT = Path(__file__).parents[2]
MINUTES = 90.0
_BEGAN = pytest.StashKey[float]()
_PASSED = pytest.StashKey[list[str]]()
"""Before this run."""
_RESULTS = pytest.StashKey[dict[str, str]]()
"""Outcome of each test of this run."""

EXAMPLES, SOAK_EXAMPLES, SOAK_STRATEGY_EXAMPLES = 20, 1_000, 300
"""How many cases a property test draws; in a soak run; and there for each query strategy."""

# CI draws the same cases each time; every other run draws new ones. There is no deadline: how long a case
# takes depends on what else the machine does.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=EXAMPLES)
settings.register_profile("desk", _PATIENT)
settings.register_profile("ci", _PATIENT, derandomize=True)
settings.register_profile("soak", _PATIENT, max_examples=SOAK_EXAMPLES)


def strategy_examples() -> int:
    """How many cases this run draws for each query strategy, of which there are many."""
    return min(settings.default.max_examples, SOAK_STRATEGY_EXAMPLES)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests, those marked `soak`, alone")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("soak" if config.getoption("soak") else "ci" if os.environ.get("CI") else "desk")
    given: dict[str, Any] = getattr(config, "workerinput", {})
    # Workers take over what the controller read: all have to agree on which tests there are.
    config.stash[_BEGAN] = given.get("soak_began", time.time())
    config.stash[_PASSED] = given.get("soak_passed", [])
    config.stash[_RESULTS] = {}
    if config.getoption("soak") and not given:
        notes = _notes()
        config.stash[_PASSED] = notes.read_text().splitlines() if notes.exists() else []


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["soak_began"] = node.config.stash[_BEGAN]
    node.workerinput["soak_passed"] = node.config.stash[_PASSED]


def choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not for this kind of run, or has passed before in a soak run."""
    soaking, passed = config.getoption("soak"), set(config.stash[_PASSED])
    wanted: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        is_long = item.get_closest_marker("soak") is not None
        is_wanted = (is_long or is_hypothesis_test(getattr(item, "obj", None))) if soaking else not is_long
        (wanted if is_wanted and item.nodeid not in passed else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = wanted


def pytest_runtest_setup(item: pytest.Item) -> None:
    minutes = float(os.environ.get("ANNOTATE_TEST_SOAK_MINUTES", MINUTES))
    if item.config.getoption("soak") and time.time() - item.config.stash[_BEGAN] > 60 * minutes:
        pytest.skip("the time is over: run it again to go on")


class Notes:
    """Writes down what passed, in the process that hears of all tests."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        # Of the code as it was in the beginning, whatever is edited meanwhile.
        self._file = _notes()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        results = self._config.stash[_RESULTS]
        if report.when == "call" or report.outcome != "passed":
            results[report.nodeid] = report.outcome if results.get(report.nodeid) != "failed" else "failed"
        if report.when == "teardown" and results.get(report.nodeid) == "passed":
            self._file.parent.mkdir(exist_ok=True)
            with self._file.open("a") as file:
                file.write(f"{report.nodeid}\n")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        results = list(self._config.stash[_RESULTS].values())
        minutes = (time.time() - self._config.stash[_BEGAN]) / 60
        terminalreporter.write_line(
            f"soak: {results.count('passed')} passed, {results.count('failed')} failed, "
            f"{results.count('skipped')} left for lack of time, in {minutes:.0f} minutes; "
            f"{len(self._config.stash[_PASSED])} had passed before for this code ({self._file.name})"
        )


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if config.getoption("soak") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Notes(config), "soak-notes")


def _notes() -> Path:
    """Named by the commit and by what was changed since."""
    commit = _git("rev-parse", "--short=12", "HEAD").strip() or "no-commit"
    changed = _git("diff", "HEAD")
    more = f"-{hashlib.sha256(changed.encode()).hexdigest()[:12]}" if changed else ""
    return ROOT / ".soak" / f"{commit}{more}.txt"


def _git(*command: str) -> str:
    """Empty outside a repository."""
    done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
