"""Token ids as rows that a feature shard can hold."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

PAIR = 2048
"""Integers below this are exact in 16-bit floats, so an id is stored as ``high * PAIR + low``."""
MOST = PAIR * PAIR
"""Upper bound of the ids."""


def rows_of(token_ids: Iterable[int]) -> NDArray[np.float32]:
    """(tokens, 2) from token ids, which start at 1; 0 means no token."""
    ids = np.fromiter(token_ids, np.int64)
    return np.stack([ids // PAIR, ids % PAIR], axis=1).astype(np.float32)
