"""Turns stretches of speech into utterances of a usable length."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from annotate.types import Segment

Run = tuple[int, int]
"""First frame, and the frame after the last."""


def speech_runs(probability: NDArray[np.float32], on: float, off: float) -> list[Run]:
    """Runs of frames that start at `on` or more and last until the probability falls below `off`."""
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


def divide(run: Run, probability: NDArray[np.float32], limits: tuple[int, int], off: float) -> list[Run]:
    """Cut a run until no part is longer than the second of `limits` (frames), nor shorter than the first.

    (Shorter only where both cannot be.) Each cut is made in the last 40 % of what fits: in its
    longest pause, else where speech is least likely.
    """
    shortest, longest = limits
    start, end = run
    parts: list[Run] = []
    while end - start > longest:
        low = start + max(1, int(longest * 0.6))
        high = max(low + 1, min(start + longest, end - shortest))
        stop, resume = _best_cut(probability[low:high], off)
        parts.append((start, low + stop))
        start = low + resume
    return [*parts, (start, end)]


def _best_cut(window: NDArray[np.float32], off: float) -> Run:
    """Where to stop and where to resume, in frames of the window."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (window < off).astype(np.int8), [0]])))
    pauses = edges.reshape(-1, 2)
    if len(pauses):
        start, end = pauses[np.argmax(pauses[:, 1] - pauses[:, 0])]
        return int(start), int(end)
    lowest = int(np.argmin(window))
    return lowest, lowest


def pad(segments: Sequence[Segment], pad_us: int, duration_us: int) -> list[Segment]:
    """Widen ordered, disjoint segments at both ends, by at most half of the gap to each neighbour.

    What lies beyond the video's ends is not added.
    """
    if not segments:
        return []
    middles = [(a.end_us + b.start_us) // 2 for a, b in pairwise(segments)]
    return [
        Segment(max(s.start_us - pad_us, low), min(s.end_us + pad_us, high), s.text)
        for s, low, high in zip(segments, [0, *middles], [*middles, duration_us], strict=True)
    ]
