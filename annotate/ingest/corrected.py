"""Joins what the segmenter found with the samples that somebody corrected by hand: these stay as they are."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from annotate.types import Corrected, Segment

Span = tuple[int, int]
"""Start and end in microseconds."""

TRIMMED_US = 300_000
"""An utterance that reaches so little into a corrected stretch loses that part: it is padding, not speech."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One sample to be cut."""

    segment: Segment
    keeps_text: bool = False
    """Its text and speaker are stored already."""
    language: str = ""
    """Of its text, when that is known apart from the video's transcript."""


def join_corrected(
    found: Sequence[Segment], corrected: Sequence[Corrected], taken: Sequence[Span], least_us: int
) -> tuple[list[Cut], int]:
    """The ordered, disjoint samples of a video, and how many of `found` are left out for a correction.

    Corrected samples are cut exactly. One that `found` holds with the same ends takes its text from there,
    unless the text was corrected. Everything else in `found` that reaches into `taken` is left out; one that
    overlaps by at most `TRIMMED_US` is cut shorter, if `least_us` of it remain.
    """
    same = {(s.start_us, s.end_us): s for s in found}
    cuts = []
    for one in corrected:
        span = one.segment.start_us, one.segment.end_us
        follows = not one.keeps_text and span in same
        cuts.append(Cut(same[span]) if follows else Cut(one.segment, keeps_text=True, language=one.language))
    spans = {(cut.segment.start_us, cut.segment.end_us) for cut in cuts}
    others = [s for s in found if (s.start_us, s.end_us) not in spans]
    free = [part for s in others if (part := _outside(s, taken, least_us)) is not None]
    return sorted(cuts + [Cut(s) for s in free], key=lambda cut: cut.segment.start_us), len(others) - len(
        free
    )


def _outside(segment: Segment, taken: Sequence[Span], least_us: int) -> Segment | None:
    """The segment without what is taken; None where too much of it is."""
    start, end = segment.start_us, segment.end_us
    first = bisect_right([span[1] for span in taken], start)
    for taken_from, taken_until in taken[first:]:
        if taken_from >= end:
            break
        if taken_from <= start and taken_until - start <= TRIMMED_US:
            start = taken_until
        elif taken_until >= end and end - taken_from <= TRIMMED_US:
            end = taken_from
        else:
            return None
    if (start, end) == (segment.start_us, segment.end_us):
        return segment
    return replace(segment, start_us=start, end_us=end) if end - start >= least_us else None


def union(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The same stretches of time, ordered and disjoint."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)
