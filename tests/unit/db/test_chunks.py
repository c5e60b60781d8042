"""Queries that ask for many keys ask piece by piece."""

from hypothesis import given
from hypothesis import strategies as st

from db.chunks import CHUNK, chunks


@given(st.integers(0, 4 * CHUNK))
def test_pieces_hold_every_key_once_in_order_and_none_is_empty_or_too_long(n: int) -> None:
    pieces = list(chunks(range(n)))
    assert [key for piece in pieces for key in piece] == list(range(n))
    assert all(0 < len(piece) <= CHUNK for piece in pieces)
