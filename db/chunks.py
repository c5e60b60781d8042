"""Long lists in pieces that one query can ask for."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

CHUNK = 500
"""How many keys one query asks for: SQLite takes a limited number of parameters."""


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """`values` in pieces of at most `CHUNK`, in order."""
    source = iter(values)
    while chunk := list(islice(source, CHUNK)):
        yield chunk
