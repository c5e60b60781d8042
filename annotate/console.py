"""Output on the terminal: the report on stdout, everything else on stderr."""

import dataclasses
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from annotate.progress import Bar

_err = Console(stderr=True, highlight=False, soft_wrap=True)

PLAIN_SECONDS = 30.0
"""Seconds between lines of progress where there is no terminal."""

SPEED_SECONDS = 300.0
"""The remaining time is estimated from the progress in this period."""

MEASURED_SHARE = 0.01
"""No remaining time is shown before this share of the work, because small files may come first."""


_NAME_WIDTH = 14
"""Width of the name column, equal across commands."""

_NOTE_WIDTH = 60
"""Maximum width of the note beside a bar."""

_UNFOLDED = 10_000
"""A width at which no line is wrapped."""

_READABLE_WIDTH = 10
"""Average width of the columns of a readable table; narrower ones wrap within words."""


def emit(report: Any, *, as_json: bool) -> None:
    """Print a step's report: one JSON object, or a readable page.

    A report is a frozen dataclass or a mapping; lists of mappings become tables, mappings become name-value
    lines. Fields with ``json_only`` in their metadata are left out of the page.
    """
    fields = plain(report)
    if as_json:
        print(json.dumps(fields, ensure_ascii=False))
        return
    for one in dataclasses.fields(report) if dataclasses.is_dataclass(report) else ():
        if one.metadata.get("json_only"):
            del fields[one.name]
    # In a file or pipe nothing is wrapped, so that grep finds paths.
    width = None if sys.stdout.isatty() else _UNFOLDED
    out = Console(highlight=False, soft_wrap=True, width=width)
    names = {name: name.replace("_", " ") for name in fields}
    room = max(_NAME_WIDTH, *map(len, names.values()))
    for key, value in fields.items():
        name = names[key]
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            _show_rows(out, name, value)
        elif isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
            rows = [{"": k, **(v if isinstance(v, dict) else {"value": v})} for k, v in value.items()]
            _show_rows(out, name, rows)
        elif isinstance(value, dict):
            pairs = ", ".join(f"{k} {_text(v)}" for k, v in value.items())
            out.print(f"{name:<{room}} {pairs or '-'}", markup=False)
        elif isinstance(value, list):
            lines = [_text(one) for one in value] or ["-"]
            # Sentences, such as warnings, hold commas themselves.
            between = f"\n{'':<{room}} " if any(" " in line for line in lines) else ", "
            out.print(f"{name:<{room}} {between.join(lines)}", markup=False)
        elif value not in (None, ""):
            out.print(f"{name:<{room}} {_text(value)}", markup=False)


def _show_rows(out: Console, title: str, rows: list[dict[str, Any]]) -> None:
    """A table, or a paragraph per row where the columns would be too narrow to read."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(row.get(column))) for column in columns))
    unfolded = out.measure(table, options=out.options.update(width=_UNFOLDED)).maximum
    if unfolded <= out.width or len(table.columns) * _READABLE_WIDTH <= out.width:
        out.print(table)
        return
    out.print(title, style="bold", markup=False)
    for row in rows:
        head, *rest = ((name.replace("_", " "), _text(value)) for name, value in row.items())
        lines = [""]
        for fact in (" ".join(pair) for pair in rest if pair[1] not in ("", "-")):
            # Lines are indented, and break between facts where possible.
            if lines[-1] and len(lines[-1]) + len(fact) + 4 > out.width:
                lines.append("")
            lines[-1] += f", {fact}" if lines[-1] else fact
        paragraph = "\n".join(f"  {line}" for line in lines)
        out.print(f"{head[1]}\n{paragraph}", markup=False)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return _harmless(str(value))


def plain(value: Any) -> Any:
    """A report as JSON types; a number that is not finite becomes null, because JSON has none."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(k)): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def complain(message: str, hint: str) -> None:
    """Print an error and its remedy."""
    print(f"error: {_harmless(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {_harmless(hint)}", file=sys.stderr)


class _RichBar:
    def __init__(self, progress: "_Rated", task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, amount: float = 1, note: str = "") -> None:
        note = _visible(note)
        if len(note) > _NOTE_WIDTH:
            note = f"{note[: _NOTE_WIDTH - 1]}…"
        self._progress.update(self._task, advance=amount, note=note)

    def expect(self, total: float) -> None:
        self._progress.update(self._task, total=total)

    def line(self, key: str, text: str) -> None:
        self._progress.lines[key] = _visible(text)

    def drop(self, key: str) -> None:
        self._progress.lines.pop(key, None)


class _PlainBar:
    """Progress as an occasional line, where there is no terminal."""

    def __init__(self, title: str, total: float | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = 0.0
        self._began = self._printed = time.monotonic()

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._printed >= PLAIN_SECONDS:
            self._printed = now
            left = ""
            if self._total and self._done >= MEASURED_SHARE * self._total:
                seconds = (now - self._began) * max(self._total - self._done, 0) / self._done
                left = f"{timedelta(seconds=round(seconds))} left"
            parts = [_count(self._done, self._total, self._unit), left, _visible(note)]
            _err.print(f"{self._title}: {', '.join(filter(None, parts))}", markup=False)

    def expect(self, total: float) -> None:
        self._total = total

    def line(self, key: str, text: str) -> None:
        """Does nothing: lines below a bar are too much for a log."""

    def drop(self, key: str) -> None:
        """Does nothing."""


class Terminal:
    """Progress on stderr: bars with count, rate and time left on a terminal, plain lines elsewhere."""

    @contextmanager
    def bar(self, title: str, total: float | None, unit: str = "") -> Iterator[Bar]:
        """Open a bar that disappears when the block ends."""
        if not _err.is_terminal:
            yield _PlainBar(title, total, unit)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[rate]}"),
            _TimeLeft(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with _Rated(*columns, console=_err, transient=True, speed_estimate_period=SPEED_SECONDS) as progress:
            task = progress.add_task(title, total=total, note="", rate="", count="", unit=unit)
            yield _RichBar(progress, task)

    def say(self, line: str) -> None:
        """One line above any running bar."""
        _err.print(line, markup=False)


class _TimeLeft(TimeRemainingColumn):
    """The remaining time, once enough work is done to estimate it."""

    def render(self, task: Task) -> Text:
        if not task.total or task.completed < MEASURED_SHARE * task.total:
            return Text("-:--:--", style="progress.remaining")
        return super().render(task)


class _Rated(Progress):
    """A progress bar with count and rate, and lines below it."""

    def __init__(self, *columns: Any, **options: Any) -> None:
        self.lines: dict[str, str] = {}
        super().__init__(*columns, **options)

    def get_renderables(self) -> Any:
        for task in self.tasks:
            unit = task.fields["unit"]
            task.fields["count"] = _count(task.completed, task.total, unit)
            task.fields["rate"] = f"{_amount(task.speed, unit)}/s" if task.speed else ""
        yield from super().get_renderables()
        for text in list(self.lines.values()):
            yield Text(f"  {text}", no_wrap=True, overflow="ellipsis")


def _count(done: float, total: float | None, unit: str) -> str:
    return f"{_whole(done, unit)}/{'?' if total is None else _whole(total, unit)}"


def _whole(amount: float, unit: str) -> str:
    return _amount(amount, unit) if unit else f"{amount:.0f}"


def _amount(amount: float, unit: str) -> str:
    if unit != "B":
        return f"{amount:.1f}"
    for word in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {word}"
        amount /= 1000
    return f"{amount:.3g} TB"


def _harmless(text: str) -> str:
    """The text without control characters other than line breaks."""
    return "\n".join(_visible(line) for line in text.split("\n"))


def _visible(text: str) -> str:
    """The text without control characters, which file names may contain."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
