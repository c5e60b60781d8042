"""Protocols for progress reports, and a silent implementation."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """A progress bar."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Advance the bar by `amount`; `note` replaces the text beside it."""

    def expect(self, total: float) -> None:
        """Change the total."""

    def line(self, key: str, text: str) -> None:
        """Show `text` below the bar, in place of the earlier line of `key`."""

    def drop(self, key: str) -> None:
        """Remove the line of `key`, if there is one."""


class Progress(Protocol):
    """Receives the progress of a step: a terminal, a log, or nothing."""

    def bar(self, title: str, total: float | None, unit: str = "") -> AbstractContextManager[Bar]:
        """Open a bar that is removed when the block ends. `total` None means unknown.

        The `unit` ``B`` means bytes.
        """

    def say(self, line: str) -> None:
        """Show one line to the user, on stderr."""


class _SilentBar:
    def advance(self, amount: float = 1, note: str = "") -> None:
        """Ignored."""

    def expect(self, total: float) -> None:
        """Ignored."""

    def line(self, key: str, text: str) -> None:
        """Ignored."""

    def drop(self, key: str) -> None:
        """Ignored."""


class Silent:
    """Ignores all progress: the default of every step."""

    @contextmanager
    def bar(self, title: str, total: float | None, unit: str = "") -> Iterator[Bar]:
        """A bar that is not shown."""
        yield _SilentBar()

    def say(self, line: str) -> None:
        """Ignored."""


SILENT: Progress = Silent()
