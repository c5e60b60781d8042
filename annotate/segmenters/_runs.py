"""Turns probabilities per frame into runs of speech frames."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Run = tuple[int, int]
"""The first frame of a run and the frame after its last."""


def speech_runs(probability: NDArray[np.float32], on: float, off: float) -> list[Run]:
    """Runs that start where the probability reaches `on` and end where it falls below `off` (hysteresis)."""
    runs: list[Run] = []
    start: int | None = None
    for frame, p in enumerate(probability.tolist()):
        if start is None and p >= on:
            start = frame
        elif start is not None and p < off:
            runs.append((start, frame))
            start = None
    return runs if start is None else [*runs, (start, len(probability))]


def bridge(runs: Sequence[Run], gap: int) -> list[Run]:
    """Join runs that are less than `gap` frames apart."""
    joined: list[Run] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < gap:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def runs_of(flags: NDArray[np.bool_]) -> list[Run]:
    """Runs of frames that are True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
