"""Installs Label Studio into its own virtual environment, because its pinned dependencies conflict with
ours."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from annotate.errors import LabelStudioError
from annotate.progress import SILENT, Progress

VERSION = "1.23.2"
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class Installation:
    """The installation of Label Studio on this machine."""

    folder: Path

    @property
    def python(self) -> Path:
        """The Python interpreter of its environment."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def executable(self) -> Path:
        """The command `label-studio`."""
        return self.folder / "venv" / "bin" / "label-studio"

    @property
    def template(self) -> Path:
        """A migrated database without users; a new server starts from a copy and needs no migrations."""
        return self.folder / "template.sqlite3"

    @property
    def stamp(self) -> Path:
        """A file that is written last; without it, the installation is incomplete and is made again."""
        return self.folder / "installed.json"

    @property
    def complete(self) -> bool:
        """Whether it can be used; False also when its Python was removed."""
        return self.stamp.is_file() and self.executable.is_file() and self.python.exists()


def cache_folder() -> Path:
    """`$ANNOTATE_CACHE`, else the folder `annotate` in the user's cache folder."""
    given = os.environ.get("ANNOTATE_CACHE")
    if given:
        return Path(given).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "annotate"


def installation() -> Installation:
    """Where Label Studio is or would be installed."""
    return Installation(cache_folder() / f"label-studio-{VERSION}")


def ensure_installed(progress: Progress = SILENT) -> Installation:
    """Install Label Studio unless it is installed; concurrent calls wait for each other.

    Raises `LabelStudioError` with pip's last lines when the installation fails.
    """
    target = installation()
    if target.complete:
        return target
    try:
        target.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.folder.with_name(f"{target.folder.name}.lock")):
            if not target.complete:
                _install(target, progress)
    except OSError as error:
        raise LabelStudioError(
            f"Label Studio cannot be installed in {target.folder.parent}: {error}",
            hint="free space there, or name another folder in ANNOTATE_CACHE",
        ) from error
    return target


def clean_environment(**more: str) -> dict[str, str]:
    """The environment variables to pass on; Label Studio would read HOST, PORT or DEBUG as its settings."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | more


def server_environment(data: Path) -> dict[str, str]:
    """Settings of every run on the data folder `data`, with analytics and update checks turned off."""
    return clean_environment(
        LABEL_STUDIO_BASE_DATA_DIR=str(data),
        LABEL_STUDIO_DEBUG="false",
        LABEL_STUDIO_COLLECT_ANALYTICS="false",
        LABEL_STUDIO_LATEST_VERSION_CHECK="false",
        SENTRY_DSN="",
        FRONTEND_SENTRY_DSN="",
        PYTHONNOUSERSITE="1",
        PYTHONUNBUFFERED="1",
    )


def _install(target: Installation, progress: Progress) -> None:
    """Virtual environments cannot be moved, so it is made in place and stamped when it is complete."""
    log = target.folder / "install.log"
    if target.folder.exists():
        if not log.exists() and not target.stamp.exists() and any(target.folder.iterdir()):
            raise LabelStudioError(
                f"{target.folder} holds files that annotate did not install",
                hint="move them away, or name another folder in ANNOTATE_CACHE",
            )
        shutil.rmtree(target.folder)
    target.folder.mkdir(parents=True)
    log.touch()  # marks the folder as ours from the start
    progress.say(
        f"installing Label Studio {VERSION} into {target.folder}, once (800 MB, one to three minutes)"
    )
    with progress.bar("installing Label Studio", total=3) as bar:
        _run([sys.executable, "-m", "venv", str(target.folder / "venv")], log, _pip_environment())
        bar.advance(note="downloading packages")
        # pip reads the user's own configuration: mirrors, proxies and certificates work as everywhere.
        pip = [str(target.python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        _run([*pip, f"label-studio=={VERSION}"], log, _pip_environment())
        bar.advance(note="preparing its database")
        data = target.folder / "template"
        data.mkdir()
        # Every command migrates first; this one then only prints a version and creates no user.
        _run([str(target.executable), "version"], log, server_environment(data))
        (data / "label_studio.sqlite3").rename(target.template)
        shutil.rmtree(data)
        bar.advance()
    target.stamp.write_text(json.dumps({"version": VERSION, "python": sys.version.split()[0]}))


def _pip_environment() -> dict[str, str]:
    """The user's environment without the variables that would add other packages."""
    mixing = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV")
    return {k: v for k, v in os.environ.items() if k not in mixing} | {"PYTHONNOUSERSITE": "1"}


def _run(command: list[str], log: Path, environment: Mapping[str, str]) -> None:
    with log.open("ab") as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, check=False
        )
    if done.returncode:
        raise LabelStudioError(
            f"Label Studio {VERSION} could not be installed; the last lines of {log}:\n{last_lines(log)}",
            hint="check the network (or pip's index and proxy settings), then run `annotate studio up` again",
        )


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log file, for an error message."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-count:]) or "(nothing)"
