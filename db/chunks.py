"""Splits long lists of keys into pieces that fit into one query."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Row, Select
from sqlalchemy.orm import InstrumentedAttribute, Session

T = TypeVar("T")

CHUNK = 500
"""Keys per query: SQLite limits the number of parameters."""
MANY = 20_000
"""From this many keys on, a scan of the whole table is faster than queries by key."""
AHEAD = 10_000
"""Rows of a scan that are in memory at once."""


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """`values` in pieces of at most `CHUNK`, in order."""
    source = iter(values)
    while chunk := list(islice(source, CHUNK)):
        yield chunk


def rows_of(
    session: Session, query: Select[*tuple[Any, ...]], key: InstrumentedAttribute[str], keys: Sequence[str]
) -> Iterator[Row[*tuple[Any, ...]]]:
    """The rows of `query` that have one of the keys, in no order; `key` must be its first column."""
    if len(keys) < MANY:
        for some in chunks(keys):
            yield from session.execute(query.where(key.in_(some)))
        return
    wanted = set(keys)
    for row in session.execute(query.execution_options(yield_per=AHEAD)):
        if row[0] in wanted:
            yield row
