"""Run a command in a process of its own and kill it at a moment that is given by its number."""

import json
import os
import signal
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from annotate.errors import AnnotateError, NothingToDo


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and everything it said about it."""

    exit_code: int | None
    """None when it was killed."""
    said: str
    nothing_to_do: bool = False
    traceback: str = ""
    """Of what is no `AnnotateError`."""

    @property
    def killed(self) -> bool:
        return self.exit_code is None


def run(command: Callable[[], Any]) -> Outcome:
    """Run to the end; `command` gives a report. The exit code is the one that the command line gives."""
    try:
        report = command()
    except AnnotateError as error:
        return Outcome(1, f"{error}\n{error.hint}", isinstance(error, NothingToDo))
    except Exception:
        return Outcome(1, "", traceback=traceback.format_exc())
    missing = getattr(report, "missing", 0)
    said = [getattr(report, name, ()) for name in ("problems", "notes", "missing_answers")]
    return Outcome(1 if missing else 0, "\n".join(str(line) for lines in said for line in lines))


def run_and_kill(command: Callable[[], Any], moment: int) -> Outcome:
    """The same in a child that gets SIGKILL at its `moment`-th moment; it may end before.

    A moment comes before and after each request to the server, each statement, and each commit.
    """
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        # From Python 3.12 on a fork beside threads is warned of; the child uses none of theirs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _be_the_child(command, moment, write_end)
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as pipe:
        written = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return Outcome(None, "")
    return Outcome(**json.loads(written))


def _be_the_child(command: Callable[[], Any], moment: int, write_end: int) -> None:
    code = 1
    try:
        _count_down(moment)
        outcome = run(command)
        os.write(write_end, json.dumps(vars(outcome)).encode())
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # Nothing of the parent's is cleaned up here.
        os._exit(code)


def _count_down(moment: int) -> None:
    left = moment

    def tick(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    send = httpx.Client.send

    def counted(self: httpx.Client, *args: Any, **more: Any) -> httpx.Response:
        tick()
        answer = send(self, *args, **more)
        tick()
        return answer

    httpx.Client.send = counted  # type: ignore[method-assign]
    event.listen(Engine, "before_cursor_execute", lambda *_: tick())
    event.listen(Session, "before_commit", tick)
    event.listen(Session, "after_commit", tick)
