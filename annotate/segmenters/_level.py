"""Automatic gain control, so that near and far voices are equally loud."""

import numpy as np
from numpy.typing import NDArray

BLOCK = 512
"""Samples of a block at 16 kHz: 32 ms."""
_AROUND = 31
"""Blocks on either side over which the level around a block is averaged: one second."""
_MOST_DB = 40.0
"""Largest gain. Audio that is still quiet after it contains no voice."""


def block_power(wave: NDArray[np.float32], block: int = BLOCK) -> NDArray[np.float64]:
    """(samples,) -> (ceil(samples / block),) mean square of each block; the last block may be shorter."""
    whole = len(wave) // block * block
    blocks = wave[:whole].reshape(-1, block)
    # Summed without a square of the whole wave, which can be hours long.
    power = np.einsum("ij,ij->i", blocks, blocks).astype(np.float64) / block
    rest = wave[whole:]
    return np.append(power, np.square(rest).mean(dtype=np.float64)) if len(rest) else power


def gains(power: NDArray[np.float64], level_db: float) -> NDArray[np.float32]:
    """(blocks,) factors that bring the level around each block to `level_db` dBFS.

    The level around a block is the mean power within a second, weighted by the power itself: pauses have
    no weight, so they are amplified no more than the voices next to them. The gain is at most 40 dB.
    """
    loud = _around(power**2, _AROUND) / np.maximum(_around(power, _AROUND), 1e-20)
    level = _around(loud, _AROUND // 2)
    most = 10 ** (_MOST_DB / 20)
    return np.minimum(10 ** (level_db / 20) / np.sqrt(np.maximum(level, 1e-12)), most).astype(np.float32)


def _around(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """(n,) moving average over `reach` values before and after each value."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(values))
    return np.maximum(total[last] - total[first], 0.0) / (last - first)
