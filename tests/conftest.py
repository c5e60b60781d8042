"""What every test may ask for: a migrated project on either database, and the example videos."""

import os
from pathlib import Path

import pytest

from tests.support import soak
from tests.support.command_line import (  # noqa: F401 - fixtures for every test
    ROOT,
    RunAnnotate,
    annotate,
    annotate_process,
)
from tests.support.distribution import (  # noqa: F401 - what pytest calls
    longest_first,
    pytest_xdist_make_scheduler,
)
from tests.support.object_store import bucket, object_store  # noqa: F401 - fixtures for every test
from tests.support.postgres import (  # noqa: F401 - fixtures for every test
    postgres_server,
    postgres_template,
    postgres_url,
)
from tests.support.processes import listen_to_ctrl_c
from tests.support.projects import (  # noqa: F401 - fixtures for every test
    MakeProject,
    database_url,
    each_project,
    make_project,
    project,
    sqlite_template,
)
from tests.support.soak import (  # noqa: F401 - what pytest calls
    pytest_addoption,
    pytest_configure,
    pytest_configure_node,
    pytest_runtest_setup,
    pytest_sessionstart,
)
from tests.support.studio import label_studio  # noqa: F401 - a fixture for every test

listen_to_ctrl_c()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    soak.choose(config, items)
    longest_first(items)


@pytest.fixture(scope="session")
def example_videos() -> Path:
    """The footage that ships with the project."""
    return ROOT / "examples" / "videos"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in list(os.environ):
        if name.startswith("ANNOTATE_") and not name.startswith("ANNOTATE_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANNOTATE_STATE", str(tmp_path_factory.getbasetemp() / "state"))
