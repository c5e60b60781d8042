"""What the terminal sees: the answer on stdout, everything else on stderr."""

import dataclasses
import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from annotate.progress import Bar

_err = Console(stderr=True, highlight=False, soft_wrap=True)


def emit(report: Any, *, as_json: bool) -> None:
    """Print a step's report: one JSON object, or a readable page.

    A report is a frozen dataclass; lists of mappings become tables, mappings become name-value lines.
    """
    fields = plain(report)
    if as_json:
        print(json.dumps(fields, ensure_ascii=False))
        return
    # In a file or pipe nothing is folded: a path has to be found by grep.
    width = None if sys.stdout.isatty() else 10_000
    out = Console(highlight=False, soft_wrap=True, width=width)
    for name, value in fields.items():
        _show(out, name.replace("_", " "), value)


def _show(out: Console, name: str, value: Any) -> None:
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        out.print(_table(name, value))
    elif isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
        out.print(_table(name, [{"": key, **_as_row(row)} for key, row in value.items()]))
    elif isinstance(value, dict):
        shown = ", ".join(f"{key} {_text(v)}" for key, v in value.items())
        out.print(f"{name:<14} {shown or '-'}", markup=False)
    elif isinstance(value, list):
        out.print(f"{name:<14} {', '.join(map(_text, value)) or '-'}", markup=False)
    elif value not in (None, ""):
        out.print(f"{name:<14} {_text(value)}", markup=False)


def _as_row(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"value": value}


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(row.get(column))) for column in columns))
    return table


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return str(value)


def plain(value: Any) -> Any:
    """The JSON shape of a report; a number that is not finite becomes null, because JSON has none."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(k)): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def complain(message: str, hint: str) -> None:
    """An error, and the way out of it."""
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)


class _RichBar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._progress.update(self._task, advance=amount, note=note)


class Terminal:
    """Progress on stderr: bars with count, rate and time left on a terminal, plain lines elsewhere."""

    @contextmanager
    def bar(self, title: str, total: float | None) -> Iterator[Bar]:
        """Open a bar that is gone when the block ends."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with _Rated(*columns, console=_err, transient=True, disable=not _err.is_terminal) as progress:
            yield _RichBar(progress, progress.add_task(title, total=total, note="", rate=""))

    def say(self, line: str) -> None:
        """One line above any running bar."""
        _err.print(line, markup=False)


class _Rated(Progress):
    """Fills in how many units pass per second."""

    def get_renderables(self) -> Any:
        for task in self.tasks:
            task.fields["rate"] = f"{task.speed:.1f}/s" if task.speed else ""
        return super().get_renderables()
