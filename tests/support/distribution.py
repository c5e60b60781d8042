"""Which test runs where and when, so that the workers of `make test` end at about the same time.

A worker gets whole files, because their tests share what a fixture made for all of them. All files that
need Label Studio go to one worker, so that a run starts one server. What takes longest comes first: the short
files at the end fill what is left.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parents[2]


class StudioTogether(LoadFileScheduling):
    """Sends a file to a worker; those that need Label Studio count as one file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "label studio" if needs_studio(file) else file


@cache
def needs_studio(file: str) -> bool:
    """Whether a file, named from the root of the repository, has tests that ask for the one Label Studio.

    They ask for the fixture `label_studio`, or for raters, who answer there.
    """
    text = (ROOT / file).read_text(encoding="utf-8")
    return re.search(r"\blabel_studio\b[,:)]|tests\.support\.raters import", text) is not None


def longest_first(items: list[pytest.Item]) -> None:
    """Sort by how long files take as a rule; the order within a file stays."""
    items.sort(key=lambda item: _place(item.nodeid.split("::", 1)[0]))


def _place(file: str) -> tuple[int, str]:
    folders = ("tests/journeys/", "tests/contracts/")
    place = next((i for i, folder in enumerate(folders, 1) if file.startswith(folder)), len(folders) + 1)
    return (0 if needs_studio(file) else place), file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """`--dist loadfile` keeps files that need Label Studio together."""
    return StudioTogether(config, log) if config.getoption("dist") == "loadfile" else None
