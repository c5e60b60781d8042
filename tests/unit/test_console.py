"""What commands print: readable on any terminal, one JSON object, and nothing that a terminal obeys."""

import io
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console

from annotate import console

WIDE = [
    {"sample": "4bbbf56b6d769773", "start": 0.84, "text": "", "reasons": "transcript: none: 0 < 1 characters"}
    | {f"check-{n}": n / 8 for n in range(16)},
    {"sample": "61f9d49323963ba2", "start": 4.36, "text": "bin blue", "reasons": ""}
    | {f"check-{n}": None for n in range(16)},
]


@dataclass(frozen=True)
class Report:
    """What a step may give back."""

    files: int = 2
    rejected_samples: dict[str, int] = field(default_factory=lambda: {"snr": 3})
    samples: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    next: str = "annotate extract"


def printed(monkeypatch: pytest.MonkeyPatch, report: Report, width: int) -> list[str]:
    out = io.StringIO()
    terminal = Console(file=out, width=width, force_terminal=True, color_system=None, highlight=False)
    terminal.soft_wrap = True
    monkeypatch.setattr(console, "Console", lambda **_: terminal)
    console.emit(report, as_json=False)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_values_stand_below_each_other_whatever_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, Report(), 80)
    assert lines == [
        "files            2",
        "rejected samples snr 3",
        "samples          -",
        "warnings         -",
        "next             annotate extract",
    ]


def test_each_warning_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, Report(warnings=["one, two, three", "four five"]), 80)
    at = lines.index("warnings         one, two, three")
    assert lines[at + 1] == "                 four five"


def test_rows_that_no_terminal_is_wide_enough_for_become_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, Report(samples=WIDE), 80)
    first, second = lines.index("4bbbf56b6d769773"), lines.index("61f9d49323963ba2")
    assert lines[first + 1] == "  start 0.84, reasons transcript: none: 0 < 1 characters, check-0 0"
    assert "check-15 1.875" in lines[second - 1]
    assert lines[second + 1 : second + 3] == ["  start 4.36, text bin blue", "warnings         -"]
    assert max(map(len, lines)) <= 80


def test_rows_that_fit_are_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, Report(samples=WIDE), 400)
    assert sum("4bbbf56b6d769773" in line and "1.875" in line for line in lines) == 1


def test_nothing_a_file_name_holds_reaches_the_terminal_as_an_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "a\x1b[2Jb\x07.mp4"
    lines = printed(monkeypatch, Report(samples=[{"file": evil}], warnings=[evil]), 80)
    console.complain(evil, evil)
    for text in ("\n".join(lines), capsys.readouterr().err):
        assert "\x1b" not in text and "\x07" not in text and ".mp4" in text
    monkeypatch.undo()
    console.emit(Report(warnings=[evil]), as_json=True)
    assert json.loads(capsys.readouterr().out)["warnings"] == [evil]


def test_a_long_name_leaves_room_for_the_bar() -> None:
    progress = console._Rated()
    bar = console._RichBar(progress, progress.add_task("ingest", unit="B"))
    bar.advance(note=f"5/7 videos, 41 x real time, {'x' * 240}.mp4")
    note = progress.tasks[0].fields["note"]
    assert len(note) == 60 and note.startswith("5/7 videos, 41 x real time, xx") and note.endswith("x…")
