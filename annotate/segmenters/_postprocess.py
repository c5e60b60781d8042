"""Turns what a segmenter found into utterances of a usable length: the same rules for every segmenter."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from annotate.types import LengthRules, Segment, Speech, Transcript

Run = tuple[int, int]
"""First frame, and the frame after the last."""


_VOICED = 0.35
"""Where voicing is lower, there is a pause."""


def utterances(
    speech: Speech, transcript: Transcript | None, lengths: LengthRules, duration_us: int
) -> list[Segment]:
    """Ordered, disjoint utterances within the video, padded.

    Raw stretches are merged over short gaps, divided at their best pauses and dropped when too short;
    room is left for the padding. What somebody meant is kept as it is.
    """
    pad_us = round(lengths.pad_seconds * 1e6)
    if speech.meant or not speech.segments:
        return pad(speech.segments, pad_us, duration_us)
    assert speech.voicing is not None
    step = speech.step_us / 1e6
    least = max(0.1, lengths.min_seconds - 2 * lengths.pad_seconds)
    most = max(2 * least, lengths.max_seconds - 2 * lengths.pad_seconds)
    limits = int(np.ceil(least / step)), max(2, int(most / step))
    runs = [(round(s.start_us / speech.step_us), round(s.end_us / speech.step_us)) for s in speech.segments]
    joined = bridge(runs, int(lengths.bridge_seconds / step))
    parts = [part for run in joined for part in divide(run, speech.voicing, limits, _VOICED)]
    found = [
        Segment(a * speech.step_us, min(b * speech.step_us, duration_us))
        for a, b in parts
        if b - a >= limits[0]
    ]
    return pad(found, pad_us, duration_us)


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
        replace(s, start_us=max(s.start_us - pad_us, low), end_us=min(s.end_us + pad_us, high))
        for s, low, high in zip(segments, [0, *middles], [*middles, duration_us], strict=True)
    ]
