"""Divides a video into windows of equal length."""

from annotate.registry import segmenter
from annotate.types import Footage, LengthRules, Segment, Speech


@segmenter("fixed-window")
class FixedWindow:
    """Windows of `ingest.max_seconds`, one after the other.

    The last window counts if it is at least `min_seconds` long.
    """

    def __init__(self, *, preset: str = "near") -> None:
        """`preset` has no effect, because this segmenter does not use the audio."""

    def segment(self, footage: Footage, lengths: LengthRules) -> Speech:
        """The windows in order; the last one is dropped if it is shorter than the minimum length."""
        size, least = round(lengths.max_seconds * 1e6), round(lengths.min_seconds * 1e6)
        starts = range(0, footage.duration_us, size)
        windows = [Segment(at, min(at + size, footage.duration_us)) for at in starts]
        return Speech(tuple(w for w in windows if w.end_us - w.start_us >= least), meant=True)
