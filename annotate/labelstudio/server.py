"""Runs one Label Studio per project on loopback, as a process that outlives the command that started it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from annotate.durable import write_whole
from annotate.errors import LabelStudioError
from annotate.labelstudio.credentials import Credentials
from annotate.labelstudio.install import Installation, last_lines, server_environment
from annotate.permissions import make_folder
from annotate.temporary import process_start, temporary_name

HOST = "127.0.0.1"
START_SECONDS = 300.0
STOP_SECONDS = 15.0
RELEASE_SECONDS = 2.0
"""How long a stopped server may keep its port, until its last thread has ended."""
TASK_LOCK_SECONDS = 1800
"""How long a question that a rater opened and left is reserved for that rater."""
KEYMAP = {
    "audio:playpause": "space,ctrl+p",
    "media:playpause": "space,ctrl+alt+space",
    "annotation:submit": "enter,ctrl+enter,command+enter",
}
"""Single keys for frequent actions, beside Label Studio's usual ones."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server process; its start time `born` distinguishes it from a later process with the same id."""

    pid: int
    born: str
    port: int

    @property
    def url(self) -> str:
        """The URL at which it listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether that process still runs."""
        return bool(self.born) and process_start(self.pid) == self.born


@dataclass(frozen=True, slots=True)
class StudioFolder:
    """The data folder of one local server: database, secret key, log and the note on the running process."""

    path: Path

    @property
    def database(self) -> Path:
        """The database, with everything but the media."""
        return self.path / "label_studio.sqlite3"

    @property
    def log(self) -> Path:
        """The output of the server since its last start."""
        return self.path / "server.log"

    @property
    def note(self) -> Path:
        """The file that names the process that works on this folder."""
        return self.path / "server.json"

    def running(self) -> Running | None:
        """The server that works on this folder, or None."""
        with suppress(OSError, ValueError, TypeError):
            noted = Running(**json.loads(self.note.read_text()))
            if noted.alive:
                return noted
        return _unnoted(self.path)


def start(
    studio: StudioFolder,
    documents: Path,
    port: int,
    credentials: Credentials,
    program: Installation,
    waiting: Callable[[float], None] = lambda seconds: None,
) -> Running:
    """Start the server and wait until it answers; `waiting` is called with the seconds so far.

    Files below `documents` are served to logged-in raters once a storage in Label Studio names their folder.
    Raises `LabelStudioError` when the port is in use, or with the log's last lines when it does not start.
    """
    require_free(port)
    studio.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    studio.path.chmod(0o700)
    if not studio.database.exists():
        partial = studio.path / temporary_name()
        shutil.copyfile(program.template, partial)
        partial.chmod(0o600)
        partial.rename(studio.database)
    process = _spawn(studio, documents, port, credentials, program)
    running = Running(process.pid, process_start(process.pid), port)
    try:
        write_whole(studio.note, json.dumps(asdict(running)).encode(), 0o600)
        wait_until_healthy(running, studio, waiting)
    except BaseException:
        stop(running)
        process.wait()
        studio.note.unlink(missing_ok=True)
        raise
    # The server outlives this command; without this, Popen would warn that nobody waited for it.
    process.returncode = 0
    return running


def stop(running: Running) -> None:
    """Terminate the process and its group, and kill it if necessary; another process with its id is
    spared."""
    for signum, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        if not running.alive:
            return
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signum)
        deadline = time.monotonic() + patience
        while running.alive and time.monotonic() < deadline:
            with suppress(ChildProcessError):
                os.waitpid(running.pid, os.WNOHANG)
            time.sleep(0.05)
    if running.alive:
        raise LabelStudioError(
            f"process {running.pid} does not end", hint=f"look at it: ps -fp {running.pid}"
        )


def reset_password(studio: StudioFolder, login: str, password: str, program: Installation) -> None:
    """Set the password of the user `login` of a stopped server, if that user exists.

    Raises `LabelStudioError` when the data cannot be used.
    """
    # Without a terminal, the program reads the password from stdin, so it never appears in the process list.
    done = subprocess.run(
        [str(program.executable), "reset_password", "--username", login],
        input=f"{password}\n", env=server_environment(studio.path), start_new_session=True,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode or not re.search("successfully changed|not found", done.stdout):
        output = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["no output"]
        raise LabelStudioError(
            f"the password of {login} in {studio.path} could not be set: {output[0]}",
            hint="restore the folder from a backup, or move it away to begin with an empty Label Studio",
        )


def require_free(port: int) -> None:
    """Raise `LabelStudioError` when `port` is in use; Label Studio would silently use the next one."""
    deadline = time.monotonic() + RELEASE_SECONDS
    while True:
        try:
            with closing(socket.create_server((HOST, port))):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                with closing(socket.create_server((HOST, 0))) as server:
                    free_port = server.getsockname()[1]
                raise LabelStudioError(
                    f"port {port} cannot be used: {error.strerror or error}",
                    hint=f"annotate studio up --port {free_port}",
                ) from error
        time.sleep(0.1)


def _spawn(
    studio: StudioFolder, documents: Path, port: int, credentials: Credentials, program: Installation
) -> subprocess.Popen[bytes]:
    make_folder(documents)
    environment = server_environment(studio.path) | {
        "DJANGO_SETTINGS_MODULE": "annotate_studio",
        "PYTHONPATH": str(Path(__file__).parent / "django"),
        "LABEL_STUDIO_USERNAME": credentials.login,
        "LABEL_STUDIO_PASSWORD": credentials.password,
        "LABEL_STUDIO_USER_TOKEN": credentials.token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(documents),
        "LABEL_STUDIO_TASK_LOCK_TTL": str(TASK_LOCK_SECONDS),
        # Pages of other sites in a rater's browser must not reach the server.
        "LABEL_STUDIO_ALLOWED_HOSTS": f"{HOST},localhost",
        "LABEL_STUDIO_CORS_ALLOW_ALL_ORIGINS": "false",
        "LABEL_STUDIO_EDITOR_KEYMAP": json.dumps({name: {"key": keys} for name, keys in KEYMAP.items()}),
    }
    command = [
        str(program.executable), "start", "--no-browser", "--internal-host", HOST, "--port", str(port),
        "--enable-legacy-api-token",
    ]  # fmt: skip
    write_whole(studio.log, b"", 0o600)
    with studio.log.open("wb") as log:
        return subprocess.Popen(
            command, cwd=studio.path, env=environment, start_new_session=True, umask=0o077,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


def wait_until_healthy(
    running: Running, studio: StudioFolder, waiting: Callable[[float], None] = lambda seconds: None
) -> None:
    """Wait until the server answers; `waiting` is called with the seconds so far.

    Raises `LabelStudioError` with the log's last lines when the server ends first, or takes too long.
    """
    began = time.monotonic()
    while not healthy(running.url):
        seconds = time.monotonic() - began
        if not running.alive or seconds > START_SECONDS:
            what = f"did not answer in {seconds:.0f} s" if running.alive else "ended while starting"
            raise LabelStudioError(
                f"Label Studio {what}; {studio.log} ends with:\n{last_lines(studio.log)}",
                hint=f"read {studio.log}, then `annotate studio down` and `annotate studio up` again",
            )
        waiting(seconds)
        time.sleep(0.25)


def healthy(url: str) -> bool:
    """Whether a Label Studio of this machine answers at `url`."""
    import httpx

    try:
        # A proxy set in the environment cannot reach this machine's loopback interface.
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _unnoted(folder: Path) -> Running | None:
    """A running server without a note, whose start was killed or whose folder was deleted.

    It is recognised by its working folder in /proc.
    """
    homes = {str(folder.resolve()), f"{folder.resolve()} (deleted)"}
    for process in Path("/proc").glob("[0-9]*"):
        # The process may end meanwhile, or belong to somebody else.
        with suppress(OSError, ValueError):
            pid = int(process.name)
            if str((process / "cwd").readlink()) in homes and os.getsid(pid) == pid:
                words = (process / "cmdline").read_bytes().split(b"\0")
                return Running(pid, process_start(pid), int(words[words.index(b"--port") + 1]))
    return None
