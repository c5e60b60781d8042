"""Projects for tests, on either database. Their tables are copied from a database that was migrated once."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import Engine

from annotate.project import Project
from annotate.steps.init import init
from db.engine import open_engine
from db.migrate import upgrade

MakeProject = Callable[..., Project]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with our tables and no rows, which others are copied from."""
    path = tmp_path_factory.mktemp("template") / "annotate.db"
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture
def make_project(tmp_path: Path, sqlite_template: Path) -> Iterator[MakeProject]:
    """Make a migrated project: ``make_project(preset="mosi", database=url)``.

    The preset's rules are for real footage, so they are cleared unless `checks` asks for them.
    """
    projects: list[Project] = []

    def copy_tables(engine: Engine) -> None:
        """Stand in for `upgrade`: Postgres databases are copies of a template already."""
        if engine.dialect.name == "sqlite":
            with (
                closing(sqlite3.connect(sqlite_template)) as template,
                closing(sqlite3.connect(str(engine.url.database))) as empty,
            ):
                template.backup(empty)

    def make(
        preset: str = "ch-sims", database: str | None = None, name: str = "corpus", checks: bool = False
    ) -> Project:
        with patch("annotate.steps.init.upgrade", copy_tables):
            init(tmp_path / name, preset=preset, database=database)
        if not checks:
            _clear_section(tmp_path / name / "annotate.toml", "checks")
        projects.append(Project.open(tmp_path / name))
        return projects[-1]

    yield make
    for project in projects:
        project.engine.dispose()


def _clear_section(path: Path, name: str) -> None:
    """Remove the lines below ``[name]`` from a settings file."""
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(rf"(?ms)^\[{name}\].*?(?=^\[)", f"[{name}]\n\n", text), encoding="utf-8")


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """A CH-SIMS project on SQLite."""
    return make_project()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """None for the project's own SQLite file, else a Postgres database with our tables and no rows."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def each_project(make_project: MakeProject, database_url: str | None) -> Project:
    """A CH-SIMS project on SQLite, and again on Postgres."""
    return make_project(database=database_url)
