"""How a step tells that it gets on, without knowing who watches."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """One running piece of work."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Add `amount` to what is done; `note` replaces the text beside the bar."""

    def expect(self, total: float) -> None:
        """There is another amount to do than was thought."""

    def line(self, key: str, text: str) -> None:
        """Show `text` below the bar, in place of what `key` showed before."""

    def drop(self, key: str) -> None:
        """Take the line of `key` away, if there is one."""


class Progress(Protocol):
    """Where steps report to: a terminal, a log, or nowhere."""

    def bar(self, title: str, total: float | None, unit: str = "") -> AbstractContextManager[Bar]:
        """Open a bar that is gone when the block ends. `total` None means unknown.

        `unit` ``B`` means that bytes are counted.
        """

    def say(self, line: str) -> None:
        """One line for the user, on stderr."""


class _Nothing:
    def advance(self, amount: float = 1, note: str = "") -> None:
        """Tell nobody."""

    def expect(self, total: float) -> None:
        """Tell nobody."""

    def line(self, key: str, text: str) -> None:
        """Tell nobody."""

    def drop(self, key: str) -> None:
        """Nobody was told."""


class Silent:
    """Reports to nobody: the default of every step, used by tests and by programs."""

    @contextmanager
    def bar(self, title: str, total: float | None, unit: str = "") -> Iterator[Bar]:
        """A bar that nobody sees."""
        yield _Nothing()

    def say(self, line: str) -> None:
        """Tell nobody."""


SILENT: Progress = Silent()
