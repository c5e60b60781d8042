"""Start, stop and inspect the project's own Label Studio."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from filelock import FileLock, Timeout

from annotate.corpus.clips import fetch_questions
from annotate.errors import LabelStudioError, ProjectBusy, UsageError
from annotate.labelling.connection import address
from annotate.labelstudio import access, raters, server
from annotate.labelstudio.credentials import Credentials, credentials_file, read_credentials, save_credentials
from annotate.labelstudio.install import Installation, ensure_installed
from annotate.labelstudio.server import Running, StudioFolder
from annotate.progress import SILENT, Progress
from annotate.project import Project


@dataclass(frozen=True, slots=True)
class StudioReport:
    """Where Label Studio runs and how a person logs in."""

    running: bool
    url: str
    login: str
    password: str
    pid: int | None
    started_seconds: float | None
    """Duration of the start; None when nothing was started."""
    projects: tuple[Mapping[str, str], ...]
    """One row per Label Studio project: its title, and the URL for raters."""


def up(project: Project, *, port: int | None = None, progress: Progress = SILENT) -> StudioReport:
    """Start Label Studio for `project` and wait until it answers; leave it alone when it runs.

    Raises `LabelStudioError` when it cannot be installed or started, `UsageError` when the project uses
    another server.
    """
    _require_local(project)
    fetch_questions(project, progress)
    studio = StudioFolder(project.studio)
    with _studio_lock(project):
        running = studio.running()
        usable = studio.database.exists() and read_credentials(project.root) is not None
        if running is not None and usable:
            # An interrupted start may have left a server that is not ready yet.
            server.wait_until_healthy(running, studio)
            return _report(project, running, None)
        if running is not None:
            server.stop(running)
        program = ensure_installed(progress)
        began = time.monotonic()
        running = _start(project, port or project.settings.labelstudio.port, program, progress)
    seconds = round(time.monotonic() - began, 1)
    progress.say(f"Label Studio answers at {running.url} after {seconds:.0f} s")
    return _report(project, running, seconds)


def down(project: Project) -> StudioReport:
    """Stop the project's Label Studio; its data stays.

    Raises `LabelStudioError` when the process does not end.
    """
    _require_local(project)
    studio = StudioFolder(project.studio)
    with _studio_lock(project):
        running = studio.running()
        if running is not None:
            server.stop(running)
        studio.note.unlink(missing_ok=True)
    return StudioReport(False, "", "", "", None, None, ())


def status(project: Project) -> StudioReport:
    """Report whether the project's Label Studio runs, its URL and its login.

    Raises `LabelStudioError` when another server is configured and refuses access.
    """
    if project.settings.labelstudio.url:
        url, token = address(project)
        return StudioReport(True, url, "", "", None, None, _projects(url, token))
    running = StudioFolder(project.studio).running()
    if running is None:
        return StudioReport(False, "", "", "", None, None, ())
    return _report(project, running, None)


def _require_local(project: Project) -> None:
    if project.settings.labelstudio.url:
        raise UsageError(
            f"this project uses the Label Studio at {project.settings.labelstudio.url}",
            hint="empty labelstudio.url in annotate.toml to run one here",
        )


@contextmanager
def _studio_lock(project: Project) -> Iterator[None]:
    """Let only one command start or stop Label Studio at a time; other commands are not affected."""
    lock = FileLock(project.root / ".studio.lock", mode=project.settings.storage.access.file_mode)
    try:
        lock.acquire(timeout=server.START_SECONDS)
    except Timeout as error:
        raise ProjectBusy(
            "another command starts or stops Label Studio", hint="wait for it, then run this again"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _start(project: Project, port: int, program: Installation, progress: Progress) -> Running:
    studio = StudioFolder(project.studio)
    credentials = read_credentials(project.root)
    if credentials is None:
        credentials = Credentials.new()
        if studio.database.exists():
            progress.say("the login is not on this machine; setting a new password")
            server.reset_password(studio, credentials.login, credentials.password, program)
        else:
            save_credentials(project.root, credentials)  # before a server starts that knows them
    progress.say("starting Label Studio")
    with progress.bar("starting Label Studio", total=None) as bar:
        running = server.start(
            studio, project.media, port, credentials, program,
            waiting=lambda seconds: bar.advance(0, note=f"{seconds:.0f} s"),
        )  # fmt: skip
    try:
        save_credentials(project.root, _with_valid_token(project, running, credentials))
    except BaseException:
        server.stop(running)
        raise
    return running


def _with_valid_token(project: Project, running: Running, credentials: Credentials) -> Credentials:
    """The credentials with a token that the server accepts; the password fetches a replaced one."""
    with suppress(LabelStudioError):
        access.read(running.url, credentials.token, "/api/current-user/whoami")
        return credentials
    file = credentials_file(project.root)
    try:
        return replace(credentials, token=raters.log_in(running.url, credentials.login, credentials.password))
    except LabelStudioError as error:
        raise LabelStudioError(
            f"the data in {project.studio} belong to another login than {file}",
            hint=f"rm '{file}' and run `annotate studio up` again: it sets a new password",
        ) from error


def _report(project: Project, running: Running, seconds: float | None) -> StudioReport:
    url, token = address(project)
    credentials = read_credentials(project.root)
    assert credentials is not None  # `address` has read them
    projects = _projects(url, token)
    return StudioReport(True, url, credentials.login, credentials.password, running.pid, seconds, projects)


def _projects(url: str, token: str) -> tuple[Mapping[str, str], ...]:
    page = access.read(url, token, "/api/projects?page_size=100&ordering=id")
    return tuple(
        {"title": row["title"], "for_raters": f"{url}/projects/{row['id']}/data?labeling=1"}
        for row in page["results"]
    )
