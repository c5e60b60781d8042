"""Progress of cutting videos: how much is done, what each worker does, and how fast."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from annotate.progress import Bar
from annotate.types import Heartbeat
from annotate.wording import counted


@dataclass(slots=True)
class _Active:
    """A video that a worker is cutting."""

    name: str
    size: int
    began: float
    shown: float = 0.0
    """Bytes of it that the bar has counted."""
    done_us: int = 0


class Meter:
    """Shows a bar in bytes, because videos differ too much in length to be counted, and a line per worker."""

    def __init__(self, bar: Bar, videos: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar = bar
        self._videos = videos
        self._clock = clock
        self._began = clock()
        self._active: dict[str, _Active] = {}
        self._finished = 0
        self.footage_seconds = 0.0
        """Total length of the videos that were cut."""

    @property
    def times_real_time(self) -> float:
        """Seconds of footage cut per second, by all workers together."""
        active = sum(a.done_us for a in self._active.values()) / 1e6
        return (self.footage_seconds + active) / max(self._clock() - self._began, 1e-3)

    def note(self, text: str) -> None:
        """Show what the main process is doing, such as reading a large file."""
        self._bar.advance(0, note=text)

    def skipped(self, name: str, size: int) -> None:
        """Count a file that needs no worker."""
        self._finished += 1
        self._bar.advance(size, note=self._summary(name))

    def working(self, key: str, name: str, size: int, heartbeat: Heartbeat) -> None:
        """Show that a worker has begun the video `key`, or how far it is."""
        active = self._active.get(key)
        if active is None:
            active = self._active[key] = _Active(name, size, self._clock())
        done, total = heartbeat.done_us, heartbeat.of_us
        if total:
            active.done_us = done
            self._count(active, size * min(done / total, 1.0))
            speed = done / 1e6 / max(self._clock() - active.began, 1e-3)
            line = f"{name}  {clock_time(done)} of {clock_time(total)}  {speed:.1f} x real time"
        else:
            line = f"{name}  listening" + (f" {clock_time(done)}" if done else "")
        self._bar.line(key, line)

    def lost(self, key: str) -> None:
        """Take back the progress of a worker that ended before it was done."""
        active = self._active.pop(key, None)
        if active is not None:
            self._count(active, 0.0)
            self._bar.drop(key)

    def done(self, key: str, name: str, size: int, footage_seconds: float) -> None:
        """Count a video that was cut, or that will not be tried again."""
        active = self._active.pop(key, None)
        self._bar.drop(key)
        self._finished += 1
        self.footage_seconds += footage_seconds
        self._bar.advance(size - (active.shown if active else 0.0), note=self._summary(name))

    def _count(self, active: _Active, done: float) -> None:
        if done != active.shown:
            self._bar.advance(done - active.shown, note=self._summary(active.name))
            active.shown = done

    def _summary(self, name: str) -> str:
        speed = self.times_real_time
        shown = f", {speed:.0f} x real time" if speed >= 1 else ""
        return f"{self._finished}/{counted(self._videos, 'video')}{shown}, {name}"


def clock_time(time_us: int) -> str:
    """Minutes and seconds, and hours where there are any: ``3:07``, ``1:02:30``."""
    minutes, seconds = divmod(time_us // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
