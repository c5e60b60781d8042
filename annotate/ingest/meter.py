"""What people see while videos are cut: how much is done, what each worker is at, and how fast it goes."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from annotate.progress import Bar
from annotate.types import Sign
from annotate.wording import counted


@dataclass(slots=True)
class _Active:
    """A video that a worker has."""

    name: str
    size: int
    began: float
    shown: float = 0.0
    """Bytes of it that the bar counts already."""
    done_us: int = 0


class Meter:
    """Fills a bar of bytes, for videos differ far too much to be counted, with a line per worker."""

    def __init__(self, bar: Bar, videos: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar = bar
        self._videos = videos
        self._clock = clock
        self._began = clock()
        self._active: dict[str, _Active] = {}
        self._finished = 0
        self.footage_seconds = 0.0
        """Length of the videos that were cut."""

    @property
    def times_real_time(self) -> float:
        """Seconds of footage done per second, by all workers together."""
        active = sum(a.done_us for a in self._active.values()) / 1e6
        return (self.footage_seconds + active) / max(self._clock() - self._began, 1e-3)

    def note(self, text: str) -> None:
        """Something is done that takes a while but no worker."""
        self._bar.advance(0, note=text)

    def passed(self, name: str, size: int) -> None:
        """A file needs no worker."""
        self._finished += 1
        self._bar.advance(size, note=self._told(name))

    def working(self, key: str, name: str, size: int, sign: Sign) -> None:
        """A worker has begun the video `key`, or gets on with it."""
        active = self._active.get(key)
        if active is None:
            active = self._active[key] = _Active(name, size, self._clock())
        if sign.of_us:
            active.done_us = sign.done_us
            self._count(active, size * min(sign.done_us / sign.of_us, 1.0))
        self._bar.line(key, self._line(active, sign))

    def lost(self, key: str) -> None:
        """A worker is gone before it was done; what it did counts no more."""
        active = self._active.pop(key, None)
        if active is not None:
            self._count(active, 0.0)
            self._bar.drop(key)

    def done(self, key: str, name: str, size: int, footage_seconds: float) -> None:
        """A video is cut, or will never be."""
        active = self._active.pop(key, None)
        self._bar.drop(key)
        self._finished += 1
        self.footage_seconds += footage_seconds
        self._bar.advance(size - (active.shown if active else 0.0), note=self._told(name))

    def _count(self, active: _Active, done: float) -> None:
        if done != active.shown:
            self._bar.advance(done - active.shown, note=self._told(active.name))
            active.shown = done

    def _told(self, name: str) -> str:
        speed = self.times_real_time
        how_fast = f", {speed:.0f} x real time" if speed >= 1 else ""
        return f"{self._finished}/{counted(self._videos, 'video')}{how_fast}, {name}"

    def _line(self, active: _Active, sign: Sign) -> str:
        if not sign.of_us:
            return f"{active.name}  listening" + (f" {clock_time(sign.done_us)}" if sign.done_us else "")
        speed = sign.done_us / 1e6 / max(self._clock() - active.began, 1e-3)
        return (
            f"{active.name}  {clock_time(sign.done_us)} of {clock_time(sign.of_us)}  {speed:.1f} x real time"
        )


def clock_time(time_us: int) -> str:
    """Minutes and seconds, and hours where there are any: ``3:07``, ``1:02:30``."""
    minutes, seconds = divmod(time_us // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
