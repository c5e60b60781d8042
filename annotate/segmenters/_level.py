"""Evens out how loud a recording is, so that near and far voices are heard alike."""

import numpy as np
from numpy.typing import NDArray

BLOCK = 512
"""Samples of 16 kHz whose loudness is one number: 32 ms."""
_AROUND = 31
"""Blocks on either side that tell how loud it is around a block: a second."""
_MOST_DB = 40.0
"""What is still quiet when so much is added is no voice."""


def block_power(wave: NDArray[np.float32], block: int = BLOCK) -> NDArray[np.float64]:
    """(samples,) -> (ceil(samples / block),) mean square of each block; the last may be a part of one."""
    whole = len(wave) // block * block
    blocks = wave[:whole].reshape(-1, block)
    # Summed without a square of the whole wave, which can be hours long.
    power = np.einsum("ij,ij->i", blocks, blocks).astype(np.float64) / block
    rest = wave[whole:]
    return np.append(power, np.square(rest).mean(dtype=np.float64)) if len(rest) else power


def gains(power: NDArray[np.float64], level_db: float) -> NDArray[np.float32]:
    """(blocks,) what to multiply each block by so that the sound around it has `level_db` (0: full scale).

    How loud it is around a block is the mean power within a second, weighted by the power itself: a pause
    counts for nothing, so it is made no louder than the voices beside it. At most 40 dB are added.
    """
    loud = _around(power**2, _AROUND) / np.maximum(_around(power, _AROUND), 1e-20)
    level = _around(loud, _AROUND // 2)
    most = 10 ** (_MOST_DB / 20)
    return np.minimum(10 ** (level_db / 20) / np.sqrt(np.maximum(level, 1e-12)), most).astype(np.float32)


def _around(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """(n,) mean of each value and of those up to `reach` before and after it."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(values))
    return np.maximum(total[last] - total[first], 0.0) / (last - first)
