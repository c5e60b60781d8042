"""Takes the cues of a transcript as they are: one utterance each."""

from annotate.registry import segmenter
from annotate.segmenters.transcript import disjoint
from annotate.types import Footage, LengthRules, Speech


@segmenter("subtitles")
class Subtitles:
    """The cues of the transcript, one utterance each."""

    def __init__(self, *, preset: str = "near") -> None:
        """`preset` has no effect, because this segmenter does not use the audio."""

    def segment(self, footage: Footage, lengths: LengthRules) -> Speech:
        """Every cue, in order; where two overlap, the later one starts when the earlier one ends."""
        cues = sorted(footage.transcript.cues if footage.transcript else (), key=lambda c: c.start_us)
        return Speech(tuple(disjoint(cues)), meant=True)
