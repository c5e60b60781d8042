"""What people see while long work runs: on a terminal, in a log, and nothing that a file name could forge."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from annotate import console
from annotate.console import Terminal
from annotate.ingest.meter import Meter, clock_time
from annotate.types import Heartbeat
from tests.support.processes import PATIENCE

ROOT = Path(__file__).parent.parent.parent


class Recorder:
    """A bar that remembers what it shows."""

    def __init__(self) -> None:
        self.done = 0.0
        self.note = ""
        self.lines: dict[str, str] = {}

    def advance(self, amount: float = 1, note: str = "") -> None:
        self.done, self.note = self.done + amount, note

    def line(self, key: str, text: str) -> None:
        self.lines[key] = text

    def drop(self, key: str) -> None:
        self.lines.pop(key, None)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_worker_has_a_line_with_its_video_and_its_speed_until_it_is_done() -> None:
    bar, clock = Recorder(), Clock()
    meter = Meter(bar, 2, clock)
    meter.working("x", "talk.mp4", 1000, Heartbeat())
    assert bar.lines == {"x": "talk.mp4  listening"}
    clock.now = 10.0
    meter.working("x", "talk.mp4", 1000, Heartbeat(300_000_000, 600_000_000))
    assert bar.lines == {"x": "talk.mp4  5:00 of 10:00  30.0 x real time"}
    assert bar.done == 500
    clock.now = 20.0
    meter.done("x", "talk.mp4", 1000, 600.0)
    assert (bar.lines, bar.done) == ({}, 1000)
    assert bar.note == "1/2 videos, 30 x real time, talk.mp4"
    assert meter.times_real_time == pytest.approx(30)


def test_what_a_lost_worker_did_is_taken_back() -> None:
    bar = Recorder()
    meter = Meter(bar, 1, Clock())
    meter.working("x", "talk.mp4", 1000, Heartbeat(3, 4))
    assert bar.done == 750
    meter.lost("x")
    assert (bar.lines, bar.done) == ({}, 0)
    meter.working("x", "talk.mp4", 1000, Heartbeat(9, 4))
    meter.done("x", "talk.mp4", 1000, 1.0)
    assert bar.done == 1000


def test_files_that_need_no_worker_count_by_their_size() -> None:
    bar = Recorder()
    meter = Meter(bar, 2, Clock())
    meter.skipped("same.mp4", 70)
    meter.done("y", "broken.mp4", 30, 0.0)
    assert (bar.done, meter.footage_seconds) == (100, 0.0)


def test_times_are_written_as_players_do() -> None:
    assert [clock_time(s * 1_000_000) for s in (0, 187, 3750)] == ["0:00", "3:07", "1:02:30"]


def _shown(monkeypatch: pytest.MonkeyPatch, **options: Any) -> io.StringIO:
    out = io.StringIO()
    monkeypatch.setattr(console, "_err", Console(file=out, width=100, **options))
    return out


def test_without_a_terminal_a_line_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    out = _shown(monkeypatch, soft_wrap=True)
    now = Clock()
    monkeypatch.setattr(time, "monotonic", now)
    with Terminal().bar("ingest", 4_000_000, "B") as bar:
        bar.line("x", "talk.mp4  listening")
        for _ in range(100):
            now.now += 1.0
            bar.advance(10_000, note="1/4 videos")
    assert out.getvalue().splitlines() == [
        "ingest: 300 kB/4 MB, 0:06:10 left, 1/4 videos",
        "ingest: 600 kB/4 MB, 0:05:40 left, 1/4 videos",
        "ingest: 900 kB/4 MB, 0:05:10 left, 1/4 videos",
    ]


def test_no_time_left_is_promised_before_enough_was_done_to_estimate_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = _shown(monkeypatch, soft_wrap=True)
    now = Clock()
    monkeypatch.setattr(time, "monotonic", now)
    with Terminal().bar("ingest", 30_000_000, "B") as bar:
        for done in (11_000, 2_989_000):
            now.now += 31.0
            bar.advance(done)
    assert out.getvalue().splitlines() == ["ingest: 11 kB/30 MB", "ingest: 3 MB/30 MB, 0:09:18 left"]
    column = console._TimeLeft()
    with console.Progress(column, console=console._err, get_time=now) as progress:
        progress.add_task("ingest", total=1000)
        (task,) = progress.tasks
        for completed, shown in ((0, True), (5, True), (500, False)):
            now.now += 10.0
            progress.update(task.id, completed=completed)
            assert (column.render(task).plain == "-:--:--") is shown


def test_short_work_says_nothing_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out = _shown(monkeypatch)
    with Terminal().bar("look", 10) as bar:
        bar.advance(10)
    assert out.getvalue() == ""


ON_A_TERMINAL = """
import time
from annotate.console import Terminal
terminal = Terminal()
with terminal.bar("ingest", 2_000_000, "B") as bar:
    bar.line("a", "first.mp4  0:10 of 1:00  20.0 x real time")
    bar.line("b", "bad\\n\\x1b[2Jname.mp4  listening")
    bar.advance(1_000_000, note="1/2 videos, 41 x real time")
    time.sleep(0.4)
    terminal.say("cannot read x.mp4: Permission denied")
    bar.drop("a")
    time.sleep(0.4)
print("the report")
"""


def test_on_a_terminal_there_is_a_bar_a_line_per_worker_and_nothing_of_them_in_the_end() -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 110, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL], stdout=subprocess.PIPE, stderr=theirs, cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "110"},
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    while True:
        try:
            some = os.read(ours, 1 << 16)
        except OSError:
            break
        if not some:
            break
        drawn += some
    os.close(ours)
    assert child.communicate(timeout=PATIENCE)[0] == b"the report\n"
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode())
    assert "1 MB/2 MB" in text
    assert "1/2 videos, 41 x real time" in text
    assert "first.mp4  0:10 of 1:00  20.0 x real time" in text
    assert "bad\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[2Jname.mp4  listening" in text
    assert b"\x1b[2Jname" not in drawn
    assert "cannot read x.mp4: Permission denied\r\n" in text
    # The last thing that is drawn is that everything is taken away.
    assert drawn.rstrip().endswith(b"\x1b[2K") or b"\x1b[2K" in drawn[-60:]
