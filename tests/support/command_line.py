"""Run `annotate` as a user would, within this process or in one of its own."""

import contextlib
import io
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import Engine, event

ROOT = Path(__file__).parents[2]

RunAnnotate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def annotate(tmp_path: Path) -> RunAnnotate:
    """Run a command within this process: ``annotate("status", "--json", cwd=folder)``.

    It saves the seconds that a new process takes to import everything. What the command prints, its exit code
    and its traceback, if any, are those of `annotate_process`.
    """

    def run(*args: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        words = list(map(str, args))
        stdout, stderr = _Pipe(), _Pipe()
        with (
            _unchanged_log(),
            _closing_databases(),
            contextlib.chdir(cwd or tmp_path),
            patch.dict(os.environ, env),
            patch.object(sys, "argv", [str(ROOT / "cli.py"), *words]),
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            code = _exit_code()
        return subprocess.CompletedProcess(words, code, stdout.text(), stderr.text())

    return run


@pytest.fixture
def annotate_process(tmp_path: Path) -> RunAnnotate:
    """Run a command in a process of its own: ``annotate_process("status", "--json", cwd=folder)``."""

    def run(*args: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "cli.py"), *map(str, args)],
            cwd=cwd or tmp_path, capture_output=True, text=True, env={**os.environ, **env}, check=False,
        )  # fmt: skip

    return run


class _Pipe(io.TextIOWrapper):
    """A stream that is no terminal and keeps what is written to it, also after the writer closed it."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding="utf-8", write_through=True)

    def close(self) -> None:
        """Stay readable."""

    def text(self) -> str:
        return self._bytes.getvalue().decode()


def _exit_code() -> int:
    """Run the command line; what Python does with an exception that leaves a program is done here."""
    import cli  # noqa: TID251 - the tests of the command line have to call it

    try:
        cli.main()
    except SystemExit as leaving:
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)
            return 1
        return leaving.code or 0
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextlib.contextmanager
def _unchanged_log() -> Iterator[None]:
    """Put back what `--verbose` and `--quiet` do to the log of this process."""
    logger = logging.getLogger("annotate")
    handlers, level = logger.handlers[:], logger.level
    try:
        yield
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)


@contextlib.contextmanager
def _closing_databases() -> Iterator[None]:
    """Close the idle connections of every database that is opened, as the end of a process does."""
    engines: set[Engine] = set()

    def remember(connection: object) -> None:
        engines.add(connection.engine)  # type: ignore[attr-defined]

    event.listen(Engine, "engine_connect", remember)
    try:
        yield
    finally:
        event.remove(Engine, "engine_connect", remember)
        for engine in engines:
            engine.dispose()
