"""Joins the utterances of a segmenter with samples that were corrected by hand, which stay as they are."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from annotate.types import Corrected, Segment

Span = tuple[int, int]
"""Start and end in microseconds."""

TRIMMED_US = 300_000
"""An overlap with a corrected sample of at most this length is cut off: it is padding, not speech."""


@dataclass(frozen=True, slots=True)
class PlannedCut:
    """One sample to be cut."""

    segment: Segment
    keeps_text: bool = False
    """Whether its stored text and speaker are kept."""
    language: str = ""
    """Language of its text, where it is known independently of the video's transcript."""


def join_corrected(
    utterances: Sequence[Segment], corrected: Sequence[Corrected], taken: Sequence[Span], min_us: int
) -> tuple[list[PlannedCut], int]:
    """The ordered, disjoint samples of a video, and how many of `utterances` are left out for a correction.

    Corrected samples are cut exactly. One that has the ends of an utterance takes its text from there, unless
    the text was corrected. Every other utterance that overlaps a span in `taken` is left out, or shortened
    where it overlaps by at most `TRIMMED_US` and `min_us` of it remain.
    """
    by_span = {(s.start_us, s.end_us): s for s in utterances}
    cuts = []
    for sample in corrected:
        span = sample.segment.start_us, sample.segment.end_us
        if span in by_span and not sample.keeps_text:
            cuts.append(PlannedCut(by_span[span]))
        else:
            cuts.append(PlannedCut(sample.segment, keeps_text=True, language=sample.language))
    spans = {(cut.segment.start_us, cut.segment.end_us) for cut in cuts}
    rest = [s for s in utterances if (s.start_us, s.end_us) not in spans]
    free = [part for s in rest if (part := _outside(s, taken, min_us)) is not None]
    cuts += [PlannedCut(s) for s in free]
    return sorted(cuts, key=lambda cut: cut.segment.start_us), len(rest) - len(free)


def _outside(segment: Segment, taken: Sequence[Span], min_us: int) -> Segment | None:
    """The segment without its overlap with `taken`; None where too much of it is taken."""
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
    return replace(segment, start_us=start, end_us=end) if end - start >= min_us else None


def union(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The union of the spans, ordered and disjoint."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)
