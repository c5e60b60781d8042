"""The two Label Studios that a history is played on: a real one, and the model of it."""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from annotate.labelstudio import server
from annotate.labelstudio.credentials import Credentials
from annotate.labelstudio.install import Installation
from annotate.labelstudio.raters import add_rater
from tests.histories.studio_model import OWNER, OWNER_TOKEN, StudioModel, serving
from tests.support.raters import Rater
from tests.support.studio import free_port


class Server(Protocol):
    """A Label Studio whose data can be put back to what they were, and whose clock can be wrong."""

    url: str
    owner: Rater

    def rater(self) -> Rater:
        """A person with an account who took part in nothing yet."""

    def backup(self) -> Any: ...

    def restore(self, backup: Any) -> None: ...

    def set_clock(self, offset: float) -> None:
        """Let the clock be this many seconds ahead of the true time."""


@dataclass
class ModelServer:
    """The model, on a port of its own."""

    url: str
    model: StudioModel
    owner: Rater = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.owner = Rater(self.url, OWNER, OWNER_TOKEN)

    def rater(self) -> Rater:
        number = next(self._numbers)
        email, token = f"person{number}@example.org", f"token-{number}"
        self.model.add_user(email, token)
        return Rater(self.url, email, token)

    def backup(self) -> Any:
        return self.model.backup()

    def restore(self, backup: Any) -> None:
        self.model.restore(backup)

    def set_clock(self, offset: float) -> None:
        self.model.clock_offset = offset


@contextmanager
def model_server() -> Iterator[ModelServer]:
    model = StudioModel()
    with serving(model) as url:
        yield ModelServer(url, model)
    assert not model.unknown, f"the model of Label Studio lacks: {sorted(set(model.unknown))}"


SHIFTED_CLOCK = """
import os, time
from datetime import timedelta

from django.utils import timezone

true_time, true_now = time.time, timezone.now


def offset():
    try:
        with open(os.environ["CLOCK_OFFSET_FILE"]) as file:
            return float(file.read() or 0)
    except (OSError, ValueError):
        return 0.0


time.time = lambda: true_time() + offset()
timezone.now = lambda: true_now() + timedelta(seconds=offset())
"""
"""Runs inside Label Studio before anything else does."""


class ShiftedInstallation(Installation):
    """Label Studio under a clock that `clock/offset`, a file, moves."""

    __slots__ = ()

    @property
    def executable(self) -> Path:
        return self.folder / "label-studio-with-another-clock"

    @property
    def template(self) -> Path:
        return self.folder / "template.sqlite3"


@dataclass
class RealServer:
    """A real Label Studio on SQLite."""

    url: str
    owner: Rater
    studio: server.StudioFolder
    clock: Path
    _free: list[Rater] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def rater(self) -> Rater:
        if self._free:
            return self._free.pop()
        email = f"person{next(self._numbers)}@example.org"
        return Rater(self.url, email, add_rater(self.url, self.owner.token, email, "a long enough password"))

    def give_back(self, raters: list[Rater]) -> None:
        """Those whose account is still there may take part in another history."""
        emails = {user["email"] for user in call(self.owner, "GET", "/api/users/")}
        self._free += [rater for rater in raters if rater.email in emails]

    def backup(self) -> Path:
        """A copy of its database."""
        path = self.studio.path.with_name(f"backup-{next(self._numbers)}.sqlite3")
        with closing(sqlite3.connect(self.studio.database)) as live, closing(sqlite3.connect(path)) as copy:
            live.backup(copy)
        return path

    def restore(self, backup: Path) -> None:
        """Put the copy back under the running server: it opens its database anew for each request."""
        with closing(sqlite3.connect(backup)) as copy, closing(sqlite3.connect(self.studio.database)) as live:
            copy.backup(live)

    def set_clock(self, offset: float) -> None:
        # In one step: the server reads it at any moment.
        partial = self.clock.with_suffix(".part")
        partial.write_text(str(offset))
        partial.replace(self.clock)


@contextmanager
def real_server(program: Installation, folder: Path, documents: Path) -> Iterator[RealServer]:
    """A server below `folder` that may serve files below `documents`."""
    shifted = _with_shifted_clock(program, folder / "program")
    studio, credentials = server.StudioFolder(folder / "studio"), Credentials.new()

    running = server.start(studio, documents, free_port(), credentials, shifted)
    try:
        owner = Rater(running.url, credentials.login, credentials.token)
        yield RealServer(running.url, owner, studio, folder / "program" / "offset")
    finally:
        server.stop(running)


def _with_shifted_clock(program: Installation, folder: Path) -> ShiftedInstallation:
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(SHIFTED_CLOCK)
    (folder / "template.sqlite3").symlink_to(program.template)
    shifted = ShiftedInstallation(folder)
    shifted.executable.write_text(
        f"#!/bin/sh\nexport PYTHONPATH='{folder}':\"$PYTHONPATH\" CLOCK_OFFSET_FILE='{folder / 'offset'}'\n"
        f"exec '{program.executable}' \"$@\"\n"
    )
    shifted.executable.chmod(0o755)
    return shifted


def _login(rater: Rater) -> dict[str, str]:
    return {"Authorization": f"Token {rater.token}"}


_HTTP = httpx.Client(timeout=60, trust_env=False, verify=False)
"""One for all: what a new one reads about TLS takes longer than all that it is used for here."""


def call(rater: Rater, method: str, path: str, body: Any = None, **query: Any) -> Any:
    """What the server answers to a request of this person; an error is raised."""
    answer = _HTTP.request(method, rater.url + path, json=body, params=query, headers=_login(rater))
    answer.raise_for_status()
    return answer.json() if answer.content else None
