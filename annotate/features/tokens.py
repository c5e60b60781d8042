"""Numbers of tokens as rows that any feature shard can hold."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

PAIR = 2048
"""Whole numbers below this are exact in 16-bit floats, so a number is kept as ``high * PAIR + low``."""
MOST = PAIR * PAIR
"""Numbers lie below this."""


def rows_of(numbers: Iterable[int]) -> NDArray[np.float32]:
    """(tokens, 2) of numbers from 1 on; 0 stands for no token."""
    ids = np.fromiter(numbers, np.int64)
    return np.stack([ids // PAIR, ids % PAIR], axis=1).astype(np.float32)
