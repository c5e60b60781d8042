"""One real Label Studio for all tests of a run."""

import dataclasses
import itertools
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr

from annotate.errors import LabelStudioError
from annotate.labelstudio import server
from annotate.labelstudio.credentials import Credentials
from annotate.labelstudio.install import ensure_installed
from annotate.labelstudio.raters import add_rater
from annotate.project import Project
from tests.support.needs import cannot


@dataclass(frozen=True)
class LabelStudio:
    """A running server, and how to make a project or a command use it."""

    url: str
    credentials: Credentials
    cache: Path
    """Where it is installed, for `ANNOTATE_CACHE`."""
    documents: Path
    """Holds the folders of all tests; addresses of media count from here."""
    database: Path
    """The server's own SQLite database."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def token(self) -> str:
        return self.credentials.token

    @property
    def environment(self) -> dict[str, str]:
        """For a command in a process of its own."""
        return {"ANNOTATE_LABELSTUDIO__URL": self.url, "ANNOTATE_LABELSTUDIO__TOKEN": self.token}

    def use(self, project: Project) -> Project:
        """The same project, database connections included, with this server in its settings."""
        mine = {"url": self.url, "token": SecretStr(self.token)}
        labelstudio = project.settings.labelstudio.model_copy(update=mine)
        settings = project.settings.model_copy(update={"labelstudio": labelstudio})
        copy = dataclasses.replace(project, settings=settings)
        copy.__dict__["engine"] = project.engine
        return copy

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Put the server's database back to what it was before the block, as from a backup.

        SQLite's backup interface replaces the content below the running server, numbers to give out included.
        """
        copy = self.database.with_name("backup.sqlite3")
        with closing(sqlite3.connect(self.database)) as live, closing(sqlite3.connect(copy)) as backup:
            live.backup(backup)
            yield
            backup.backup(live)
        copy.unlink()

    def sql(self, statement: str, *values: object) -> None:
        """Change the server's database directly, to do what its clock or its administrator could do."""
        with closing(sqlite3.connect(self.database, timeout=30)) as live, live:
            live.execute(statement, values)

    def add_rater(self, email: str = "") -> tuple[str, str]:
        """E-mail and token of a new rater."""
        email = email or f"rater{next(self._numbers)}@example.org"
        return email, add_rater(self.url, self.token, email, "a long enough password")


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    """A server that may serve files of every test's folder; installed on first use, which takes minutes."""
    try:
        program = ensure_installed()
    except LabelStudioError as error:
        cannot(f"no Label Studio: {error}")
    studio = server.StudioFolder(tmp_path_factory.mktemp("label-studio"))
    credentials = Credentials.new()
    documents = tmp_path_factory.getbasetemp()
    running = server.start(studio, documents, free_port(), credentials, program)
    try:
        yield LabelStudio(running.url, credentials, program.folder.parent, documents, studio.database)
    finally:
        server.stop(running)
